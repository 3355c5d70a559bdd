package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"larder/authserver/oidc"
	"larder/internal/secret"
)

func clientCommands() []command {
	return []command{
		{
			name: "client create", short: "Register a client. Its secret is shown once.", needs: needDatabase,
			long: `
A web application (confidential, code flow):
  authserver client create --id web --name "Larder Web" --redirect-uri https://app.example.com/callback \
    --post-logout-redirect-uri https://app.example.com/ --grant authorization_code --grant refresh_token \
    --scope "openid profile email offline_access lists:read lists:write" --resource https://api.example.com

A single-page or mobile application (public, PKCE):
  authserver client create --name "Larder Phone" --auth none --redirect-uri com.example.larder:/callback --scope "openid lists:read"

A program that acts for itself:
  authserver client create --name "Importer" --grant client_credentials --scope "lists:read" --resource https://api.example.com

A client held to the FAPI 2.0 Security Profile:
  authserver client create --name "Bank" --profile fapi2 --dpop --auth private_key_jwt --jwks-file bank.jwks \
    --redirect-uri https://bank.example.com/callback --scope "openid lists:read" --resource https://api.example.com

A client that publishes its keys and signs its requests:
  authserver client create --name "Notary" --auth private_key_jwt --jwks-uri https://notary.example.com/jwks \
    --require-signed-request-object --redirect-uri https://notary.example.com/callback --scope openid

One that authenticates by its TLS certificate, for which a CA of AUTHSERVER_CLIENT_CA vouches:
  authserver client create --name "Bank" --profile fapi2 --auth tls_client_auth --tls-subject-dn "CN=bank,O=Bank,C=GB" --certificate-bound \
    --redirect-uri https://bank.example.com/callback --scope "openid lists:read" --resource https://api.example.com

A call centre that asks people to approve what they begin there (OpenID CIBA):
  authserver client create --name "Pantry Phone Line" --grant ciba --scope "openid lists:read" --resource https://api.example.com \
    --backchannel-delivery ping --backchannel-notification-endpoint https://phone.example.com/ciba

One that is described whole by a document of RFC 7591, also with what has no flag here, such as the encryption of its answers:
  authserver client create --from client.json
  authserver client show web --json | jq '.id_token_encrypted_response_alg = "ECDH-ES"' | authserver client update web --from -

A resource server that may introspect tokens:
  authserver client create --id resourceapi --name "Grocery API" --grant client_credentials --introspect-resource https://api.example.com`,
			flags: func(flags *flag.FlagSet) action {
				clientID := flags.String("id", "", "client_id (random if left out)")
				metadata := metadataFlags(flags)
				return func(ctx context.Context, t *terminal, args []string) error {
					var m oidc.Metadata
					if err := metadata(t.in, &m); err != nil {
						return err
					}
					made, value, err := t.core.clients.Create(ctx, *clientID, m, t.operator())
					if err != nil {
						return err
					}
					return t.printClient(made, value)
				}
			},
		},
		{
			name: "client update", args: "ID", short: "Change a client. Flags that are left out leave what is.", needs: needDatabase,
			long: "A list, such as --redirect-uri, replaces the whole list.\n\n" +
				"  authserver client update web --redirect-uri https://app.example.com/callback --redirect-uri https://app.example.com/cb2",
			flags: func(flags *flag.FlagSet) action {
				metadata := metadataFlags(flags)
				return func(ctx context.Context, t *terminal, args []string) error {
					clientID, err := only(args, "client id")
					if err != nil {
						return err
					}
					old, err := t.core.clients.Show(ctx, clientID)
					if err != nil {
						return err
					}
					m := old.Metadata
					if err := metadata(t.in, &m); err != nil {
						return err
					}
					changed, value, err := t.core.clients.Update(ctx, clientID, old.Version, m, t.operator())
					if err != nil {
						return err
					}
					return t.printClient(changed, value)
				}
			},
		},
		{
			name: "client show", args: "ID", short: "Show one client.", needs: needDatabase,
			flags: func(*flag.FlagSet) action {
				return func(ctx context.Context, t *terminal, args []string) error {
					clientID, err := only(args, "client id")
					if err != nil {
						return err
					}
					found, err := t.core.clients.Show(ctx, clientID)
					if err != nil {
						return err
					}
					return t.printClient(found, "")
				}
			},
		},
		{
			name: "client list", short: "List the clients.", needs: needDatabase,
			flags: func(*flag.FlagSet) action { return listClients },
		},
		{
			name: "client rotate-secret", args: "ID", short: "Give a client a new secret, shown once.", needs: needDatabase,
			long: "The secret before it stays good, so that nothing breaks while the new one is rolled out. Then:\n" +
				"  authserver client rotate-secret ID --drop-old",
			flags: func(flags *flag.FlagSet) action {
				drop := flags.Bool("drop-old", false, "make no new secret: end every one but the newest")
				return func(ctx context.Context, t *terminal, args []string) error { return rotateSecret(ctx, t, args, *drop) }
			},
		},
		{
			name: "client disable", args: "ID", short: "End a client and everything granted to it.", needs: needDatabase,
			flags: func(flags *flag.FlagSet) action {
				undo := flags.Bool("undo", false, "let the client begin anew")
				return func(ctx context.Context, t *terminal, args []string) error {
					clientID, err := only(args, "client id")
					if err != nil {
						return err
					}
					changed, err := t.core.clients.SetDisabled(ctx, clientID, !*undo, t.operator())
					if err != nil {
						return err
					}
					return t.printClient(changed, "")
				}
			},
		},
	}
}

// maxMetadata is how many bytes of a document are read.
const maxMetadata = 1 << 20

// readMetadata reads a client's metadata, of which what client show prints is a
// superset. "-" is standard input.
func readMetadata(file string, in io.Reader) (m oidc.Metadata, err error) {
	if file != "-" {
		f, err := os.Open(file) //nolint:gosec // the operator names it
		if err != nil {
			return m, err
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	var v clientView
	document := json.NewDecoder(io.LimitReader(in, maxMetadata))
	document.DisallowUnknownFields() // a misspelt member would be left out silently
	if err := document.Decode(&v); err != nil {
		return m, fmt.Errorf("--from %s: %w", file, err)
	}
	return v.Metadata, nil
}

// metadataFlags declares the flags of a client's metadata: for a document, and
// for each member that people type. The returned function writes what was given
// into m, the document first; in is standard input.
func metadataFlags(flags *flag.FlagSet) func(in io.Reader, m *oidc.Metadata) error {
	var redirects, logouts, grants, resources, details, actors list
	from := flags.String("from", "", "JSON `file` with all of its metadata (RFC 7591), - for standard input; other flags change what it says")
	name := flags.String("name", "", "what people are shown")
	flags.Var(&redirects, "redirect-uri", "`URI` to return to, exactly as it will be sent; may be repeated")
	flags.Var(&logouts, "post-logout-redirect-uri", "`URI` to return to after signing out; may be repeated")
	flags.Var(&grants, "grant", "grant `type`: authorization_code (the default), refresh_token, client_credentials, device_code, ciba, token_exchange, jwt_bearer; may be repeated")
	scope := flags.String("scope", "", "`scopes` it may ask for, with spaces between")
	auth := flags.String("auth", "", "how it authenticates: client_secret_basic (the default), client_secret_post, client_secret_jwt, private_key_jwt,\n"+
		"tls_client_auth, self_signed_tls_client_auth, none")
	flags.Var(&resources, "resource", "`URI` of an API it may ask tokens for, of AUTHSERVER_RESOURCE_SERVERS; may be repeated")
	flags.Var(&details, "authorization-details-type", "`type` of authorization details it may send (RFC 9396): grocery_list; may be repeated")
	alg := flags.String("id-token-alg", "", "ES256 (the default), RS256, EdDSA or PS256")
	userinfoAlg := flags.String("userinfo-alg", "", "sign its userinfo answers by ES256, RS256, EdDSA or PS256; plain JSON by default")
	subjects := flags.String("subject-type", "", "public (the default) or pairwise: it knows people by subjects of its own")
	sector := flags.String("sector-identifier-uri", "", "https `URI` of the list of redirect URIs, and of jwks_uris for the device grant and CIBA, that share pairwise subjects")
	flags.Var(&actors, "may-act", "`client_id` of a client that may exchange its tokens, to act for the person (RFC 8693); may be repeated")
	signatures := signatureFlags(flags)
	logo := flags.String("logo-uri", "", "https `URI` of its picture")
	backchannel := flags.String("backchannel-logout-uri", "", "https `URI` that is told when a session is over, server to server")
	frontchannel := flags.String("frontchannel-logout-uri", "", "`URI` that the browser loads when a session is over, at the origin of a redirect URI")
	delivery := flags.String("backchannel-delivery", "", "how it learns of the answers to CIBA requests: poll (the default) or ping")
	notify := flags.String("backchannel-notification-endpoint", "", "https `URI` that is pinged then")
	initiate := flags.String("initiate-login-uri", "", "https `URI` at which others can have a sign-in begin")
	firstParty := flags.Bool("first-party", false, "it is ours: ask nobody for consent")
	profile := flags.String("profile", "", "what is demanded of it: oidc (the default) or fapi2, the FAPI 2.0 Security Profile")
	dpop := flags.Bool("dpop", false, "give it only tokens that are bound to a key (RFC 9449)")
	bound := flags.Bool("certificate-bound", false, "give it only tokens that are bound to its TLS certificate (RFC 8705)")
	subject := map[string]*string{
		"tls-subject-dn": flags.String("tls-subject-dn", "", "the subject of its certificate, for tls_client_auth: \"CN=bank,O=Bank,C=GB\""),
		"tls-san-dns":    flags.String("tls-san-dns", "", "or a DNS `name` in its certificate"),
		"tls-san-uri":    flags.String("tls-san-uri", "", "or a `URI` in its certificate"),
		"tls-san-ip":     flags.String("tls-san-ip", "", "or an IP `address` in its certificate"),
		"tls-san-email":  flags.String("tls-san-email", "", "or a mail `address` in its certificate"),
	}
	pkce := flags.Bool("require-pkce", true, "--require-pkce=false only for an old confidential client that cannot do PKCE")
	par := flags.Bool("require-par", false, "it must push its authorization requests (RFC 9126)")
	introspect := flags.String("introspect-resource", "", "it is the resource server of this `URI` and may introspect tokens for it")
	return func(in io.Reader, m *oidc.Metadata) error {
		if *from != "" {
			var err error
			if *m, err = readMetadata(*from, in); err != nil {
				return err
			}
		}
		flags.Visit(func(f *flag.Flag) {
			switch f.Name {
			case "name":
				m.ClientName = *name
			case "redirect-uri":
				m.RedirectURIs = redirects
			case "post-logout-redirect-uri":
				m.PostLogoutRedirectURIs = logouts
			case "grant":
				m.GrantTypes, m.ResponseTypes = grantTypes(grants), nil
			case "auth":
				m.TokenEndpointAuthMethod = *auth
			case "scope":
				m.Scope = *scope
			case "resource":
				m.Resources = resources
			case "authorization-details-type":
				m.AuthorizationDetailsTypes = details
			case "may-act":
				m.MayAct = actors
			case "id-token-alg":
				m.IDTokenSignedAlg = *alg
			case "userinfo-alg":
				m.UserinfoSignedAlg = *userinfoAlg
			case "subject-type":
				m.SubjectType = *subjects
			case "sector-identifier-uri":
				m.SectorIdentifierURI = *sector
			case "logo-uri":
				m.LogoURI = *logo
			case "backchannel-logout-uri":
				m.BackchannelLogoutURI = *backchannel
			case "frontchannel-logout-uri":
				m.FrontchannelLogoutURI = *frontchannel
			case "backchannel-delivery":
				m.BackchannelDelivery = *delivery
			case "backchannel-notification-endpoint":
				m.BackchannelNotificationEndpoint = *notify
			case "initiate-login-uri":
				m.InitiateLoginURI = *initiate
			case "first-party":
				m.FirstParty = *firstParty
			case "profile":
				m.Profile = *profile
			case "dpop":
				m.DPoPBound = *dpop
			case "certificate-bound":
				m.CertificateBound = *bound
			case "tls-subject-dn":
				m.TLSSubjectDN = *subject[f.Name]
			case "tls-san-dns":
				m.TLSDNS = *subject[f.Name]
			case "tls-san-uri":
				m.TLSURI = *subject[f.Name]
			case "tls-san-ip":
				m.TLSIP = *subject[f.Name]
			case "tls-san-email":
				m.TLSEmail = *subject[f.Name]
			case "require-pkce":
				m.RequirePKCE = pkce
			case "require-par":
				m.RequirePAR = *par
			case "introspect-resource":
				m.IntrospectResource = *introspect
			}
		})
		return signatures(m)
	}
}

// grantTypes spells out those that nobody wants to type.
func grantTypes(given []string) []string {
	names := slices.Clone(given)
	for i, name := range names {
		switch name {
		case "device_code":
			names[i] = oidc.DeviceCode
		case "ciba":
			names[i] = oidc.CIBA
		case "token_exchange":
			names[i] = oidc.TokenExchange
		case "jwt_bearer":
			names[i] = oidc.JWTBearer
		}
	}
	return names
}

// clientView is a client as operators see it; secrets have no part in it but
// the one that was made just now.
type clientView struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	oidc.Metadata
	Secrets   int       `json:"secrets"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	Disabled  bool      `json:"disabled"`
}

func (t *terminal) printClient(c *oidc.Client, value secret.String) error {
	v := clientView{
		ClientID: c.ID, ClientSecret: value.Reveal(), Metadata: c.Metadata,
		Secrets: len(c.SecretHashes), Version: c.Version, CreatedAt: c.CreatedAt, Disabled: c.Disabled,
	}
	return t.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "client_id\t%s\n", v.ClientID)
		if value != "" {
			fmt.Fprintf(w, "client_secret\t%s\t(shown this once)\n", v.ClientSecret)
		}
		fmt.Fprintf(w, "name\t%s\n", v.ClientName)
		fmt.Fprintf(w, "authentication\t%s\n", v.TokenEndpointAuthMethod)
		if v.Profile != "" {
			fmt.Fprintf(w, "profile\t%s\n", v.Profile)
		}
		if v.RequirePKCE != nil && !*v.RequirePKCE {
			fmt.Fprintln(w, "PKCE\tnot required")
		}
		if v.DPoPBound {
			fmt.Fprintln(w, "tokens\tbound to a key (DPoP)")
		}
		if v.CertificateBound {
			fmt.Fprintln(w, "tokens\tbound to a certificate (RFC 8705)")
		}
		if v.JWKSURI != "" {
			fmt.Fprintf(w, "jwks_uri\t%s\n", v.JWKSURI)
		}
		if v.RequireRequestObject {
			fmt.Fprintln(w, "requests\tsigned (JAR)")
		}
		for _, uri := range v.RequestURIs {
			fmt.Fprintf(w, "request_uri\t%s\n", uri)
		}
		fmt.Fprintf(w, "grants\t%s\n", strings.Join(v.GrantTypes, " "))
		fmt.Fprintf(w, "scope\t%s\n", v.Scope)
		for _, uri := range v.RedirectURIs {
			fmt.Fprintf(w, "redirect_uri\t%s\n", uri)
		}
		for _, uri := range v.PostLogoutRedirectURIs {
			fmt.Fprintf(w, "post_logout_redirect_uri\t%s\n", uri)
		}
		for _, uri := range v.Resources {
			fmt.Fprintf(w, "resource\t%s\n", uri)
		}
		fmt.Fprintf(w, "disabled\t%t\n", v.Disabled)
	})
}

func listClients(ctx context.Context, t *terminal, args []string) error {
	views := []clientView{}
	for after := ""; ; {
		const page = 200
		some, err := t.core.clients.List(ctx, after, page)
		if err != nil {
			return err
		}
		for _, one := range some {
			after = one.ID
			views = append(views, clientView{
				ClientID: one.ID, Metadata: one.Metadata, Secrets: len(one.SecretHashes),
				Version: one.Version, CreatedAt: one.CreatedAt, Disabled: one.Disabled,
			})
		}
		if len(some) < page {
			break
		}
	}
	return t.print(views, func(w io.Writer) {
		fmt.Fprintln(w, "CLIENT ID\tNAME\tAUTHENTICATION\tGRANTS\tDISABLED")
		for _, v := range views {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%t\n", v.ClientID, v.ClientName, v.TokenEndpointAuthMethod, strings.Join(v.GrantTypes, " "), v.Disabled)
		}
	})
}

func rotateSecret(ctx context.Context, t *terminal, args []string, drop bool) error {
	clientID, err := only(args, "client id")
	if err != nil {
		return err
	}
	if drop {
		if err := t.core.clients.DropOldSecret(ctx, clientID, t.operator()); err != nil {
			return err
		}
		return t.print(map[string]string{"client_id": clientID}, func(w io.Writer) {
			fmt.Fprintln(w, "Only the newest secret is good now.")
		})
	}
	value, err := t.core.clients.RotateSecret(ctx, clientID, t.operator())
	if err != nil {
		return err
	}
	return t.print(map[string]string{"client_id": clientID, "client_secret": value.Reveal()}, func(w io.Writer) {
		fmt.Fprintf(w, "client_secret\t%s\t(shown this once; the one before it stays good until --drop-old)\n", value.Reveal())
	})
}
