package password_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"larder/internal/fault"
	"larder/internal/password"
)

// quick is cheap enough for tests that do not measure cost.
func quick() password.Params { return password.Params{Memory: 64, Time: 1, Threads: 1} }

func TestAHashFitsItsPasswordOnly(t *testing.T) {
	h := password.NewHasher(password.Recommended(), 2, 2)
	stored, err := h.Hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("stored %q, want the PHC string of the recommended parameters", stored)
	}
	for try, want := range map[string]bool{
		"correct horse battery":  true,
		"correct horse battery ": false,
		"Correct horse battery":  false,
		"":                       false,
	} {
		ok, stale, err := h.Verify(t.Context(), try, stored, nil)
		if err != nil || ok != want || stale {
			t.Errorf("Verify(%q) = %t, stale %t, %v; want %t", try, ok, stale, err, want)
		}
	}
}

func TestTheSameTextInAnotherNormalFormIsTheSamePassword(t *testing.T) {
	h := password.NewHasher(quick(), 1, 1)
	stored, err := h.Hash(t.Context(), "cr\u00e8me br\u00fbl\u00e9e au four")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, err := h.Verify(t.Context(), "cre\u0300me bru\u0302le\u0301e au four", stored, nil); err != nil || !ok {
		t.Errorf("Verify = %t, %v; want true", ok, err)
	}
}

func TestALongPasswordCountsToItsLastByte(t *testing.T) {
	h := password.NewHasher(quick(), 1, 1)
	long := strings.Repeat("a long tail ", 80) + "x"
	stored, err := h.Hash(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, _ := h.Verify(t.Context(), long[:len(long)-1]+"y", stored, nil); ok {
		t.Error("the last byte does not count")
	}
	if _, err := h.Hash(t.Context(), strings.Repeat("a", password.MaxBytes+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("over MaxBytes: %v, want Invalid", err)
	}
}

func TestNothingFitsTheDummy(t *testing.T) {
	h := password.NewHasher(quick(), 1, 1)
	for _, try := range []string{"", "dummy", "correct horse battery"} {
		if ok, _, err := h.Verify(t.Context(), try, h.Dummy(), nil); ok || err != nil {
			t.Errorf("Verify(%q) = %t, %v", try, ok, err)
		}
	}
}

func TestOtherParametersAreStale(t *testing.T) {
	old, err := password.NewHasher(quick(), 1, 1).Hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	h := password.NewHasher(password.Params{Memory: 128, Time: 1, Threads: 1}, 1, 1)
	if ok, stale, err := h.Verify(t.Context(), "correct horse battery", old, nil); !ok || !stale || err != nil {
		t.Errorf("Verify = %t, stale %t, %v; want true, true", ok, stale, err)
	}
}

func TestMalformedHashesAreErrors(t *testing.T) {
	h := password.NewHasher(quick(), 1, 1)
	for _, stored := range []string{
		"", "$", "plain", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5", "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5",
		"$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5", "$argon2id$v=19$m=64,t=1,p=1$$", "$argon2id$v=19$m=64,t=1,p=1$!$!",
	} {
		if ok, _, err := h.Verify(t.Context(), "x", stored, nil); ok || err == nil {
			t.Errorf("Verify against %q = %t, %v; want an error", stored, ok, err)
		}
	}
}

func TestAFullQueueIsRefusedWithRetryAfter(t *testing.T) {
	h := password.NewHasher(quick(), 1, 1)
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _, _ = h.Verify(t.Context(), "x", h.Dummy(), func(context.Context) error { close(held); <-release; return nil })
	})
	<-held
	waiting, cancel := context.WithCancel(t.Context())
	queued := make(chan error, 1)
	go func() {
		for {
			// It may meet the third at the door and be the one that is refused; then it comes again.
			if _, err := h.Hash(waiting, "the one in the queue"); waiting.Err() != nil {
				queued <- err
				return
			}
		}
	}()
	// Until that one stands in the queue a third may find its place free, and then leaves with its own context.
	for {
		gone, stop := context.WithCancel(t.Context())
		stop()
		_, err := h.Hash(gone, "one too many")
		var e *fault.Error
		if !errors.As(err, &e) || e.Kind != fault.Unavailable || e.RetryAfter <= 0 {
			t.Fatalf("one too many: %v, want Unavailable with RetryAfter", err)
		}
		if !errors.Is(err, context.Canceled) {
			break
		}
	}
	cancel()
	if err := <-queued; !fault.Is(err, fault.Unavailable) {
		t.Errorf("the one that gave up: %v", err)
	}
	close(release)
	wg.Wait()
	if _, err := h.Hash(t.Context(), "after all that"); err != nil {
		t.Errorf("places were lost: %v", err)
	}
}

func TestBeforeEndsTheAttempt(t *testing.T) {
	h := password.NewHasher(quick(), 1, 0)
	refused := errors.New("refused")
	if _, _, err := h.Verify(t.Context(), "x", h.Dummy(), func(context.Context) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("err = %v", err)
	}
	if _, err := h.Hash(t.Context(), "the permit is free again"); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	for try, acceptable := range map[string]bool{
		"four loaves of bread":            true,
		"alllowercasewithnodigit":         true,
		"ein-langer-satz-ohne-zahl":       true,
		strings.Repeat("kaffee und ", 12): true,
		"日本語のパスワードはとても長いです":               true,
		"short":                                false,
		"fourteen chars":                       false,
		"aaaaaaaaaaaaaaaaaaaa":                 false,
		"abcabcabcabcabcabc":                   false,
		"PasswordPassword":                     false,
		"correct horse battery staple":         false,
		"Ada.Lovelace@example.com":             false,
		"ada.lovelace1234":                     false,
		"1234567890123456":                     false,
		"bad \xff utf-8 in here somewhere":     false,
		strings.Repeat("an endless tail ", 65): false,
	} {
		err := password.Check(try, "ada.lovelace@example.com", "Ada Lovelace")
		if (err == nil) != acceptable {
			t.Errorf("Check(%q) = %v, want acceptable %t", try, err, acceptable)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("Check(%q) is %v, want Invalid", try, fault.KindOf(err))
		}
	}
}
