package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"time"

	"larder/internal/secret"
)

const sendTimeout = 10 * time.Second

// The types of events that Google sends (RISC).
const (
	riscPrefix    = "https://schemas.openid.net/secevent/risc/event-type/"
	verification  = riscPrefix + "verification"
	tokensRevoked = "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked" //nolint:gosec // a name, not a credential
)

func eventsPage() *template.Template {
	return template.Must(template.New("events").Parse(shell + `
<h1>{{.Title}}</h1>
<p>What the provider tells Larder, without the person being there.</p>
<form method="post">
<label for="email">Email that the person used</label><input id="email" name="email" type="email" required>
<label for="event">Event</label><select id="event" name="event">{{range .Events}}<option>{{.}}</option>{{end}}</select>
<button>Send</button></form>{{with .Answer}}<p role="status">Larder answered {{.}}.</p>{{end}}</main></body></html>`))
}

func eventNames() []string {
	return []string{
		"google sessions-revoked", "google account-disabled", "google account-enabled", "google account-purged", "google tokens-revoked",
		"apple consent-revoked", "apple account-delete", "apple email-disabled", "apple email-enabled",
	}
}

func (e *Emulator) showEvents(w http.ResponseWriter, _ *http.Request) {
	html(w)
	_ = eventsPage().Execute(w, map[string]any{"Title": "Events (emulated)", "Events": eventNames(), "Answer": ""})
}

func (e *Emulator) sendEvent(w http.ResponseWriter, r *http.Request) {
	var provider, event string
	if _, err := fmt.Sscan(r.PostFormValue("event"), &provider, &event); err != nil {
		respond(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	status, err := e.send(r.Context(), provider, event, r.PostFormValue("email"))
	if err != nil {
		respond(w, http.StatusBadGateway, map[string]string{"error": err.Error()})
		return
	}
	html(w)
	_ = eventsPage().Execute(w, map[string]any{"Title": "Events (emulated)", "Events": eventNames(), "Answer": status})
}

func (e *Emulator) send(ctx context.Context, provider, event, email string) (string, error) {
	p, path, content := e.Google, "/federation/google/events", "application/secevent+jwt"
	if provider == e.Apple.Name {
		p, path, content = e.Apple, "/federation/apple/notifications", "application/json"
	}
	p.mu.Lock()
	receiver := p.receiver
	p.mu.Unlock()
	if receiver == "" {
		return "", fmt.Errorf("nobody has come from Larder to %s yet", p.Title)
	}
	body, err := p.Event(event, p.Subject(email), email)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, receiver+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", content)
	answer, err := (&http.Client{}).Do(request) //nolint:gosec // the stand-in's own developer says where to
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.Status, nil
}

// EventClaims are those of a security event token (RFC 8417, as Google sends
// it) or of a notification of Apple.
func (p *Provider) EventClaims(event, subject, email string) (map[string]any, error) {
	now := p.emulator.now()
	claims := map[string]any{"iss": p.Issuer, "aud": p.ClientID, "iat": now.Unix(), "jti": secret.New().Reveal()}
	if p.Name == "apple" {
		// Apple sends the event as text of JSON within the JSON.
		inner, err := json.Marshal(map[string]any{"type": event, "sub": subject, "email": email, "is_private_email": "true", "event_time": now.UnixMilli()})
		claims["events"] = string(inner)
		return claims, err
	}
	who := map[string]any{"subject_type": "iss-sub", "iss": p.Issuer, "sub": subject}
	switch event {
	case "tokens-revoked":
		claims["events"] = map[string]any{tokensRevoked: map[string]any{"subject": who}}
	case "verification":
		claims["events"] = map[string]any{verification: map[string]any{"state": "are you there?"}}
	case "account-disabled":
		claims["events"] = map[string]any{riscPrefix + event: map[string]any{"subject": who, "reason": "hijacking"}}
	default:
		claims["events"] = map[string]any{riscPrefix + event: map[string]any{"subject": who}}
	}
	return claims, nil
}

// Event is the body that the provider would post.
func (p *Provider) Event(event, subject, email string) ([]byte, error) {
	claims, err := p.EventClaims(event, subject, email)
	if err != nil {
		return nil, err
	}
	return p.EventBody(claims)
}

// EventBody signs claims as the body that the provider would post.
func (p *Provider) EventBody(claims map[string]any) ([]byte, error) {
	signed, err := p.Sign(claims)
	if err != nil || p.Name == "google" {
		return []byte(signed), err
	}
	return json.Marshal(map[string]string{"payload": signed})
}
