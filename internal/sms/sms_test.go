package sms_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/internal/outbound"
	"larder/internal/secret"
	"larder/internal/sms"
)

func TestTheGatewaySpeaksTwiliosAPI(t *testing.T) {
	t.Parallel()
	status, got := http.StatusCreated, ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		_ = r.ParseForm()
		got = strings.Join([]string{r.Method, r.URL.Path, user, pass, r.PostForm.Get("To"), r.PostForm.Get("From"), r.PostForm.Get("Body")}, " ")
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	g, err := sms.ParseGateway(secret.String(strings.Replace(srv.URL, "http://", "http://AC1:tok%2Fen@", 1)+"?from=+15550100"), true)
	if err != nil {
		t.Fatal(err)
	}
	g = g.Over(outbound.New(outbound.Config{Timeout: time.Minute, MaxBody: 1 << 10, AllowLoopback: true}))
	m := sms.Message{ID: "1", To: "+4915112345678", Text: "123456 & more"}
	if err := g.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if want := "POST /2010-04-01/Accounts/AC1/Messages.json AC1 tok/en +4915112345678 +15550100 123456 & more"; got != want {
		t.Errorf("the provider got %q, want %q", got, want)
	}
	for code, final := range map[int]bool{http.StatusBadRequest: true, http.StatusTooManyRequests: false, http.StatusUnauthorized: false, http.StatusBadGateway: false} {
		status = code
		err := g.Send(t.Context(), m)
		if _, refused := errors.AsType[*sms.RefusedError](err); err == nil || refused != final {
			t.Errorf("%d: %v", code, err)
		}
	}
	for _, bad := range []string{"", "https://api.twilio.com?from=x", "https://a:hunter2@api.twilio.com", "http://a:hunter2@api.twilio.com?from=x", "https://a@api.twilio.com?from=x"} {
		if _, err := sms.ParseGateway(secret.String(bad), false); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestADirectoryHoldsAMessageOnce(t *testing.T) {
	t.Parallel()
	d := sms.Directory{Path: filepath.Join(t.TempDir(), "sms")}
	for range 2 {
		if err := d.Send(t.Context(), sms.Message{ID: "7", To: "+4915112345678", Text: "hello"}); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := os.ReadDir(d.Path)
	raw, err := os.ReadFile(filepath.Join(d.Path, "7.txt"))
	if err != nil || len(files) != 1 || string(raw) != "To: +4915112345678\n\nhello\n" {
		t.Errorf("%d files, %q, %v", len(files), raw, err)
	}
}

func TestNumbersAreReadAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"+49 151 1234-5678": "+4915112345678", "0049 (151) 12345678": "+4915112345678", "+1.555.010.0100": "+15550100100",
		"0151 12345678": "", "+0151234567": "", "+49 abc 1234567": "", "": "", "+4912345678901234567": "", "+4915112345678\nTo: x": "",
	} {
		if got, ok := sms.Number(text); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %t", text, got, ok)
		}
	}
}
