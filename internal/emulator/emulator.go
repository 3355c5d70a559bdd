package emulator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"sync"
	"time"

	"larder/internal/secret"
)

const (
	codeLife    = 5 * time.Minute
	headerLimit = 5 * time.Second
)

// Emulator is both providers.
type Emulator struct {
	URL    string // http://127.0.0.1:port
	Google *Provider
	Apple  *Provider

	now func() time.Time
	mux *http.ServeMux
}

// AppleCredentials are what a developer gets from Apple's console.
type AppleCredentials struct {
	TeamID     string
	KeyID      string
	PrivateKey secret.String // PKCS #8, PEM
}

// Listen starts both on a port of 127.0.0.1, until ctx is done.
func Listen(ctx context.Context, now func() time.Time) (*Emulator, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &Emulator{URL: "http://" + listener.Addr().String(), now: now, mux: http.NewServeMux()}
	if e.Google, err = newProvider(e, "google", "Google"); err != nil {
		return nil, err
	}
	if e.Apple, err = newProvider(e, "apple", "Apple"); err != nil {
		return nil, err
	}
	if err := e.Apple.makeCredentials(); err != nil {
		return nil, err
	}
	e.Google.mount(e.mux, "/google", paths{auth: "/o/oauth2/v2/auth", token: "/token", keys: "/oauth2/v3/certs"})
	e.Apple.mount(e.mux, "/apple", paths{auth: "/auth/authorize", token: "/auth/token", keys: "/auth/keys"}) //nolint:gosec // paths, not credentials
	e.mux.HandleFunc("POST /apple/auth/revoke", e.Apple.revoke)
	e.mux.HandleFunc("GET /events", e.showEvents)
	e.mux.HandleFunc("POST /events", e.sendEvent)
	server := &http.Server{Handler: e.mux, ReadHeaderTimeout: headerLimit}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return e, nil
}

// Environment is how authserver is told of the emulator, as variables.
func (e *Emulator) Environment() map[string]string {
	return map[string]string{
		"GOOGLE_CLIENT_ID": e.Google.ClientID, "GOOGLE_CLIENT_SECRET": e.Google.Secret.Reveal(), "AUTHSERVER_GOOGLE_URL": e.Google.Issuer,
		"APPLE_CLIENT_ID": e.Apple.ClientID, "APPLE_TEAM_ID": e.Apple.Credentials.TeamID, "APPLE_KEY_ID": e.Apple.Credentials.KeyID,
		"APPLE_PRIVATE_KEY": e.Apple.Credentials.PrivateKey.Reveal(), "AUTHSERVER_APPLE_URL": e.Apple.Issuer,
	}
}

// Provider is one of the two.
type Provider struct {
	Name     string // google or apple
	Title    string
	Issuer   string
	ClientID string
	Secret   secret.String // Google's
	// Credentials are Apple's.
	Credentials AppleCredentials

	emulator *Emulator
	appleKey *ecdsa.PublicKey

	mu       sync.Mutex
	keys     []signingKey // the newest first; all are published
	codes    map[string]grant
	refresh  map[string]string // refresh token -> subject
	agreed   map[string]bool   // subjects who have agreed before
	receiver string            // where events go, learnt from the redirect URI
	alter    func(*Answer)
	hang     chan struct{}
	revoked  int
}

// grant is what a code stands for.
type grant struct {
	person    person
	redirect  string
	nonce     string
	challenge string
	expires   time.Time
}

// person is who pressed "allow".
type person struct {
	email    string
	name     string
	verified bool
	relay    bool // Apple: the address is a forwarding one
}

func newProvider(e *Emulator, name, title string) (*Provider, error) {
	p := &Provider{
		Name: name, Title: title, Issuer: e.URL + "/" + name, ClientID: "larder." + name + ".emulated", Secret: secret.New(), emulator: e,
		codes: make(map[string]grant), refresh: make(map[string]string), agreed: make(map[string]bool),
	}
	return p, p.RotateKeys()
}

func (p *Provider) makeCredentials() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	p.appleKey = &key.PublicKey
	p.Credentials = AppleCredentials{
		TeamID: "EMULATED10", KeyID: "EMULATEKEY",
		PrivateKey: secret.String(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})),
	}
	return nil
}

// Answer is what the token endpoint is about to send; a test bends it.
type Answer struct {
	Claims map[string]any
	// Sign makes the ID token of the claims; a test that replaces it forges.
	Sign func(claims map[string]any) (string, error)
	// OmitIDToken leaves the ID token out.
	OmitIDToken bool
	Status      int // of the answer, if not 0
}

// Alter has every later answer pass through f; nil ends that.
func (p *Provider) Alter(f func(*Answer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alter = f
}

// Hang lets requests of the token endpoint wait until the function returned is
// called.
func (p *Provider) Hang() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stop := make(chan struct{})
	p.hang = stop
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hang = nil
		close(stop)
	}
}

// Revocations is how many refresh tokens were taken back.
func (p *Provider) Revocations() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.revoked
}
