package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/account"
	"larder/authserver/apikey"
	"larder/authserver/oidc"
	"larder/internal/devstack/demo"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/secret"
)

// seedDemo reads the demo document, makes sure that everything in it exists and
// prints it completed. What it finds it leaves as it is, so passwords and keys
// stay what they were.
func seedDemo(ctx context.Context, t *terminal, args []string) error {
	if !t.cfg.Development || !demo.Loopback(t.cfg.Addr) || !demo.Loopback(t.cfg.InternalAddr) {
		return errors.New("demo seeding is for development: AUTHSERVER_DEVELOPMENT=true and every listener on loopback")
	}
	var d demo.Demo
	if err := json.NewDecoder(t.in).Decode(&d); err != nil {
		return fmt.Errorf("standard input is not a demo document: %w", err)
	}
	if err := t.core.keys.Load(ctx); err != nil {
		return err
	}
	s := &seeder{terminal: t, core: t.core, d: &d, scopes: strings.Join(t.cfg.apiScopes(), " ")}
	for _, step := range []func(context.Context) error{s.users, s.clientsOf, s.commandLine, s.resourceAPI, s.apiKey} {
		if err := step(ctx); err != nil {
			return told(err)
		}
	}
	enc := json.NewEncoder(t.out)
	enc.SetIndent("", "  ")
	return enc.Encode(d) //nolint:gosec // G117: to hand the demo's secrets to a developer is the document's purpose
}

// seeder completes one document.
type seeder struct {
	*terminal
	*core
	d      *demo.Demo
	scopes string // of the API
}

func (s *seeder) users(ctx context.Context) error {
	for i := range s.d.Users {
		if err := s.user(ctx, &s.d.Users[i]); err != nil {
			return fmt.Errorf("%s: %w", s.d.Users[i].Email, err)
		}
	}
	return nil
}

// user makes an account, or finds it; an account whose password the document
// does not know gets a new one.
func (s *seeder) user(ctx context.Context, u *demo.User) error {
	found, err := s.accounts.ByEmail(ctx, u.Email)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	unknown := u.Password == ""
	if unknown {
		u.Password = strings.ToLower(rand.Text()) // 26 characters, 130 bits
	}
	if found != nil {
		u.ID = found.ID.String()
		if found.Profile["birthdate"] == nil { // made before the demo had whole profiles
			if err := s.accounts.SetClaims(ctx, s.operator(), found.ID, "", demoClaims(u)); err != nil {
				return err
			}
		}
		if !unknown {
			return nil
		}
		return s.accounts.SetPassword(ctx, s.operator(), found.ID, secret.String(u.Password))
	}
	made, err := s.accounts.Create(ctx, s.operator(), account.NewUser{
		Name: u.Name, Email: u.Email, EmailVerified: true, Password: secret.String(u.Password), Operator: u.Role == demo.Operator,
	})
	if err != nil {
		return err
	}
	u.ID = made.String()
	return s.accounts.SetClaims(ctx, s.operator(), made, "", demoClaims(u))
}

// demoClaims is a whole profile, so that a relying party that is tried out finds
// every standard claim (OpenID Connect Core §5.1).
func demoClaims(u *demo.User) map[string]any {
	first, last, _ := strings.Cut(u.Name, " ")
	short := strings.ToLower(first)
	return map[string]any{
		"given_name": first, "middle_name": "Maria", "family_name": last, "nickname": first, "preferred_username": short,
		"gender": "unspecified", "birthdate": "1990-12-31", "zoneinfo": "Europe/Vienna", "locale": "en",
		"website": "https://example.com/" + short, "profile": "https://example.com/people/" + short, "picture": "https://example.com/people/" + short + ".png",
		"phone_number": "+4312345678", "phone_number_verified": true,
		"address": map[string]any{"street_address": "Marktplatz 1", "postal_code": "1010", "locality": "Wien", "country": "Austria"},
	}
}

func (s *seeder) clientsOf(ctx context.Context) error {
	d := &s.d.Clients
	interactive := []string{oidc.AuthorizationCode, oidc.RefreshToken}
	const signIn = "openid profile email address phone offline_access "
	fapiKeys, err := keySet(&d.FAPI.JWKS)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		client   *demo.Client
		id       string
		secret   bool
		metadata oidc.Metadata
	}{
		{&d.Web, "web", true, oidc.Metadata{
			ClientName: "Larder Web", GrantTypes: interactive, Scope: signIn + oidc.ScopeAdmin + " " + s.scopes,
			TokenEndpointAuthMethod: oidc.ClientSecretBasic,
			// Where examples/nextjs listens.
			BackchannelLogoutURI: "http://localhost:3000/api/backchannel-logout", BackchannelLogoutSessionRequired: true,
		}},
		{&d.SPA, "spa", false, oidc.Metadata{
			ClientName: "Larder Phone", GrantTypes: interactive, Scope: signIn + s.scopes,
			TokenEndpointAuthMethod: oidc.AuthMethodNone,
		}},
		{&d.Machine, "machine", true, oidc.Metadata{
			ClientName: "Recipe Importer", GrantTypes: []string{oidc.ClientCredentials}, Scope: s.scopes,
			TokenEndpointAuthMethod: oidc.ClientSecretBasic,
		}},
		{&d.FAPI, "fapi", false, oidc.Metadata{
			ClientName: "Bank-grade Client", GrantTypes: append(interactive, oidc.ClientCredentials), Scope: signIn + s.scopes,
			TokenEndpointAuthMethod: oidc.PrivateKeyJWT, JWKS: fapiKeys, Profile: oidc.ProfileFAPI2, DPoPBound: true,
		}},
	} {
		if c.client.ID == "" {
			c.client.ID = c.id
		}
		if c.secret && c.client.Secret == "" {
			c.client.Secret = secret.New().Reveal()
		}
		c.metadata.RedirectURIs = c.client.RedirectURIs
		c.metadata.PostLogoutRedirectURIs = c.client.PostLogoutRedirectURIs
		c.metadata.Resources = []string{s.d.API}
		if err := s.clients.Ensure(ctx, c.client.ID, c.metadata, secret.String(c.client.Secret), s.operator()); err != nil {
			return fmt.Errorf("client %s: %w", c.client.ID, told(err))
		}
	}
	return nil
}

// keySet returns the public half of a private key set in the document, which it
// makes if there is none. The private half lies nowhere else.
func keySet(private *json.RawMessage) (*jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	if len(*private) > 0 {
		if err := json.Unmarshal(*private, &set); err != nil {
			return nil, fmt.Errorf("the private key set in the document: %w", err)
		}
	}
	if len(set.Keys) == 0 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		jwk := jose.JSONWebKey{Key: key, Algorithm: "ES256", Use: "sig"}
		sum, err := jwk.Thumbprint(crypto.SHA256)
		if err != nil {
			return nil, err
		}
		jwk.KeyID = base64.RawURLEncoding.EncodeToString(sum)
		set.Keys = []jose.JSONWebKey{jwk}
		if *private, err = json.Marshal(set); err != nil {
			return nil, err
		}
	}
	public := &jose.JSONWebKeySet{}
	for _, key := range set.Keys {
		public.Keys = append(public.Keys, key.Public())
	}
	return public, nil
}

// commandLine registers a public client for the device grant, to try it with.
// It has no secret, so the document need not tell of it.
func (s *seeder) commandLine(ctx context.Context) error {
	return s.clients.Ensure(ctx, "cli", oidc.Metadata{
		ClientName: "Larder Command Line", GrantTypes: []string{oidc.DeviceCode, oidc.RefreshToken},
		Scope: "openid profile email offline_access " + s.scopes, TokenEndpointAuthMethod: oidc.AuthMethodNone, Resources: []string{s.d.API},
	}, "", s.operator())
}

// resourceAPI registers the API itself, which introspects what it is shown.
func (s *seeder) resourceAPI(ctx context.Context) error {
	value := s.getenv("AUTHSERVER_DEMO_RESOURCEAPI_SECRET")
	if value == "" {
		return errors.New("AUTHSERVER_DEMO_RESOURCEAPI_SECRET must be set")
	}
	return s.clients.Ensure(ctx, "resourceapi", oidc.Metadata{
		ClientName: "Grocery API", GrantTypes: []string{oidc.ClientCredentials},
		TokenEndpointAuthMethod: oidc.ClientSecretBasic, IntrospectResource: s.d.API,
	}, secret.String(value), s.operator())
}

// apiKey makes the key of the demo family, unless the document's is in force.
func (s *seeder) apiKey(ctx context.Context) error {
	if s.d.FamilyID == "" {
		s.d.FamilyID = id.New().String()
	}
	family, err := id.Parse(s.d.FamilyID)
	if err != nil {
		return fmt.Errorf("family_id: %w", err)
	}
	if s.d.APIKey != "" {
		known, err := s.apiKeys.Introspect(ctx, s.d.APIKey, "")
		if err == nil && known.FamilyID == family {
			return nil
		}
		if err != nil && !fault.Is(err, fault.Unauthenticated) {
			return err
		}
	}
	const few = 200
	accounts, err := s.apiKeys.Accounts(ctx, family, id.ID{}, few)
	if err != nil {
		return err
	}
	var fridge apikey.ServiceAccount
	for _, a := range accounts {
		if a.DisabledAt == nil {
			fridge = a
		}
	}
	if fridge.ID.IsZero() {
		if fridge, err = s.apiKeys.CreateAccount(ctx, family, "Smart fridge", s.operator()); err != nil {
			return err
		}
	}
	_, value, err := s.apiKeys.Create(ctx, fridge.ID, s.cfg.apiScopes(), s.now().AddDate(1, 0, 0), s.operator())
	s.d.APIKey = value.Reveal()
	return err
}
