// Package demo is the vocabulary that the development stack and the two services share when a demo family is seeded.
//
//	larder-dev ── Demo as JSON ──> authserver demo ── completed ──> resourceapi demo ── completed ──> demo.json
//
// Each program reads the document on standard input, makes sure that everything in it exists, fills in what is
// missing (ids, passwords, secrets, the API key) and prints the whole. On a later run the finished document goes in
// again, so passwords stay what they were.
//
// The package imports only the standard library: both services link it.
package demo

import (
	"encoding/json"
	"net"
	"net/netip"
)

// Demo is the document `.dev/demo.json`. Secrets are plain strings because handing them to a developer, in a file
// that only he can read, is the document's purpose.
type Demo struct {
	// Issuer and API are base URLs without a trailing slash; API is also the resource indicator (RFC 8707).
	Issuer  string  `json:"issuer"`
	API     string  `json:"api"`
	Users   []User  `json:"users"`
	Clients Clients `json:"clients"`
	// APIKey reaches the demo family and no other.
	APIKey   string  `json:"api_key"`
	FamilyID string  `json:"family_id"`
	Lists    []List  `json:"lists"`
	Metrics  Metrics `json:"metrics"`
}

// User is somebody who can sign in. ID is the `sub` of his tokens.
type User struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Email    string `json:"email"`
	Password string `json:"password"`
	Role     Role   `json:"role"`
}

// Role says what a demo user is to the demo family.
type Role string

// The five demo users, one of each. The stranger has a family of his own; the operator has none.
const (
	Admin    Role = "admin"
	Member   Role = "member"
	Guest    Role = "guest"
	Stranger Role = "stranger"
	Operator Role = "operator"
)

// Clients holds one relying party of each kind.
type Clients struct {
	Web Client `json:"web"`
	// SPA is public: it has no secret.
	SPA Client `json:"spa"`
	// Machine uses client_credentials and is installed for the demo family.
	Machine Client `json:"machine"`
	// FAPI authenticates with private_key_jwt.
	FAPI Client `json:"fapi"`
}

// Client is a registered relying party. JWKS is its private key set (RFC 7517).
type Client struct {
	ID                     string          `json:"client_id"`
	Secret                 string          `json:"client_secret,omitempty"`
	RedirectURIs           []string        `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string        `json:"post_logout_redirect_uris,omitempty"`
	JWKS                   json.RawMessage `json:"jwks,omitempty"`
}

// List is a grocery list of the demo family.
type List struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Kind is "shared" or "personal".
	Kind string `json:"kind"`
}

// Metrics holds the base URLs of the internal listeners, where /metrics answers.
type Metrics struct {
	AuthServer  string `json:"authserver"`
	ResourceAPI string `json:"resourceapi"`
}

// New returns the document to start a first run with: who there is to be, and nothing yet that has to be made.
func New() Demo {
	return Demo{
		Users: []User{
			{Name: "Ada Baker", Email: "ada@example.com", Role: Admin},
			{Name: "Ben Baker", Email: "ben@example.com", Role: Member},
			{Name: "Gus Gast", Email: "gus@example.com", Role: Guest},
			{Name: "Sam Stone", Email: "sam@example.com", Role: Stranger},
			{Name: "Olive Ops", Email: "olive@example.com", Role: Operator},
		},
		Clients: Clients{
			Web: Client{
				RedirectURIs:           []string{"http://localhost:3000/api/auth/callback/larder", "http://localhost:9999/callback"},
				PostLogoutRedirectURIs: []string{"http://localhost:3000/", "http://localhost:9999/"},
			},
			SPA:  Client{RedirectURIs: []string{"http://127.0.0.1/callback"}, PostLogoutRedirectURIs: []string{"http://127.0.0.1/"}},
			FAPI: Client{RedirectURIs: []string{"http://localhost:9999/callback"}},
		},
		Lists: []List{
			{Name: "Weekly groceries", Kind: "shared"},
			{Name: "Ada's own list", Kind: "personal"},
		},
	}
}

// User returns the user with the role, and whether there is one.
func (d *Demo) User(role Role) (User, bool) {
	for _, u := range d.Users {
		if u.Role == role {
			return u, true
		}
	}
	return User{}, false
}

// Loopback reports whether a listener on addr (host:port) can be reached from this machine only. An empty host, which
// means every interface, does not count, and neither does a name other than localhost: what it resolves to is not ours.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
