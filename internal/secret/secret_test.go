package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"larder/internal/secret"
)

func TestAStringIsNeverPrinted(t *testing.T) {
	s := secret.String("hunter2")
	holder := struct{ Password secret.String }{s}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", slog.Any("password", s), slog.Any("holder", holder))
	asJSON, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Sprint(s, holder) + fmt.Sprintf("%v %+v %#v %s %q", s, holder, holder, s, s) + log.String() + string(asJSON)
	if strings.Contains(printed, "hunter2") {
		t.Fatalf("the secret was printed: %s", printed)
	}
	if s.Reveal() != "hunter2" {
		t.Fatalf("Reveal = %q", s.Reveal())
	}
}

func TestMatchesOnlyTheStoredSecret(t *testing.T) {
	s := secret.New().Reveal()
	if !secret.Matches(s, secret.Sum(s)) {
		t.Error("a secret does not match its own sum")
	}
	if secret.Matches(s+"x", secret.Sum(s)) || secret.Matches(s[1:], secret.Sum(s)) {
		t.Error("another secret matches")
	}
	if secret.Matches("", nil) || secret.Matches(s, nil) || secret.Matches("", []byte{}) {
		t.Error("an empty sum must match nothing")
	}
}

func TestNewGives256Bits(t *testing.T) {
	if n := len(secret.New().Reveal()); n != 43 {
		t.Fatalf("length %d, want 43 base64url characters", n)
	}
	if a, b := secret.New(), secret.New(); a == b {
		t.Fatal("two secrets are equal")
	}
}
