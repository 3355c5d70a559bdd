package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"larder/authserver/oidc"
	"larder/internal/web"
)

const checkSessionPath = "/session/check"

// BrowserStates knows the state of the browser's session with us (OpenID
// Connect Session Management 1.0 §3.1), and in which cookie a script finds it.
type BrowserStates interface {
	BrowserState(w http.ResponseWriter, r *http.Request) string
	BrowserStateCookie() string
}

// checkSessionScript answers a relying party that asks, with
// "client_id session_state", whether the session is still the one in which it
// got that state (§3.2).
const checkSessionScript = `"use strict";
(function () {
  function state() {
    var found = document.cookie.split("; ").filter(function (c) { return c.indexOf(COOKIE + "=") === 0; });
    return found.length ? found[0].slice(COOKIE.length + 1) : "";
  }
  addEventListener("message", function (e) {
    function answer(word) { e.source.postMessage(word, e.origin); }
    if (!e.source || e.source === window || e.origin === "null") return;
    var parts = String(e.data).split(" ");
    var salt = (parts[1] || "").split(".")[1];
    if (parts.length !== 2 || !salt || !window.crypto || !crypto.subtle) { answer("error"); return; }
    crypto.subtle.digest("SHA-256", new TextEncoder().encode([parts[0], e.origin, state(), salt].join(" "))).then(function (sum) {
      var hex = Array.prototype.map.call(new Uint8Array(sum), function (b) { return ("0" + b.toString(16)).slice(-2); }).join("");
      answer(hex + "." + salt === parts[1] ? "unchanged" : "changed");
    }, function () { answer("error"); });
  });
})();
`

// mountSessionManagement serves the page that relying parties load in a frame.
// It is the same for everybody, and its policy names its script by hash.
func (p *Provider) mountSessionManagement(rt *web.Router) {
	if p.BrowserStates == nil {
		return
	}
	script := strings.ReplaceAll(checkSessionScript, "COOKIE", `"`+p.BrowserStates.BrowserStateCookie()+`"`)
	sum := sha256.Sum256([]byte(script))
	policy := "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors *"
	page := []byte(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Session</title></head><body><script>` + script + `</script></body></html>`)
	rt.Handle(http.MethodGet, checkSessionPath, func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("Cache-Control", "public, max-age=300")
		_, err := w.Write(page)
		return err
	})
}

// addSessionState puts session_state into the answer to a request of OpenID
// Connect, for clients that a browser shows at an origin (§3.1).
func (p *Provider) addSessionState(w http.ResponseWriter, r *http.Request, a *authorization, answer url.Values) {
	if p.BrowserStates == nil || !slices.Contains(a.scopes, oidc.ScopeOpenID) {
		return
	}
	u, err := url.Parse(a.target.uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return
	}
	answer.Set("session_state", sessionState(a.client.ID, u, p.BrowserStates.BrowserState(w, r), rand.Text()))
}

// sessionState is what the script above computes; origin is as browsers write
// it, in lower case and without a default port.
func sessionState(clientID string, u *url.URL, state, salt string) string {
	host := strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{clientID, u.Scheme + "://" + host, state, salt}, " ")))
	return hex.EncodeToString(sum[:]) + "." + salt
}
