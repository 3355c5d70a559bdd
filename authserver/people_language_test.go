package main

import (
	"net/http"
	"strings"
	"testing"
)

// Whoever reads German is told in German what was done, on the page and by mail.
func TestPeopleAreToldInTheirLanguage(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	v := w.visitor(t)
	v.header = http.Header{"Accept-Language": {"de-AT,de;q=0.9,en;q=0.1"}}
	german := func(l letter, words string) letter {
		t.Helper()
		if !strings.Contains(l.text, words) || !strings.Contains(l.text, "\nContent-Language: de\r\n") {
			t.Errorf("the mail %q has no %q:\n%s", l.subject, words, l.text)
		}
		return l
	}
	v.expect(v.press("/register", "register", "name", "Nina", "email", "nina@example.com", "password", testPassword), 200, "Sieh in dein Postfach")
	link := german(w.mail(t, "nina@example.com"), "Ohne die Best").links[0]
	v.expect(v.press(link, "verify"), 200, "Passwort an, das du gewählt hast.")
	v.expect(v.signIn("nina@example.com", testPassword), 303, "/account")
	// The new address has no account, and so no language of its own.
	v.expect(v.press("/account", "email", "email", "new@example.com", "password", testPassword), 303, "done=email")
	german(w.mail(t, "nina@example.com"), "eine andere E-Mail-Adresse")
	link = german(w.mail(t, "new@example.com"), "du möchtest diese E-Mail-Adresse").links[0]
	v.expect(v.press(link, "verify"), 200, "Ab jetzt meldest du dich damit an.")
	v.expect(v.press("/account/privacy", "delete", "password", testPassword), 200, "Du bist überall abgemeldet. Am ")
}
