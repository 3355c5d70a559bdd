package main

import (
	"strings"
	"time"

	"larder/authserver/federation"
	"larder/internal/env"
	"larder/internal/outbound"
	"larder/internal/secret"
)

const (
	providerTimeout = 5 * time.Second // of one exchange with Google or Apple
	providerAnswer  = 256 << 10       // bytes
)

// FederationConfig is what the consoles of Google and Apple gave; nil for a
// provider that is not offered.
type FederationConfig struct {
	Google *federation.GoogleConfig
	Apple  *federation.AppleConfig
}

// readFederation takes a provider's settings all or none.
func readFederation(r *env.Reader, development bool) FederationConfig {
	var c FederationConfig
	googleURL, appleURL := elsewhere(r, "AUTHSERVER_GOOGLE_URL", development), elsewhere(r, "AUTHSERVER_APPLE_URL", development)
	if v, ok := together(r, "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"); ok {
		c.Google = &federation.GoogleConfig{ClientID: v[0], Secret: secret.String(v[1]), URL: googleURL}
	}
	if v, ok := together(r, "APPLE_CLIENT_ID", "APPLE_TEAM_ID", "APPLE_KEY_ID", "APPLE_PRIVATE_KEY"); ok {
		c.Apple = &federation.AppleConfig{
			ClientID: v[0], TeamID: v[1], KeyID: v[2], URL: appleURL,
			// An environment file holds one line: \n stands for a line break.
			PrivateKey: secret.String(strings.ReplaceAll(v[3], `\n`, "\n")),
		}
		if err := c.Apple.Check(time.Unix(0, 0)); err != nil {
			r.Fault("APPLE_PRIVATE_KEY", "is not the content of the .p8 file, a PKCS #8 key for ES256 in PEM")
		}
	}
	return c
}

// together reads variables that are of use only together.
func together(r *env.Reader, names ...string) (values []string, ok bool) {
	set := 0
	for _, name := range names {
		v := r.String(name)
		values = append(values, v)
		if v != "" {
			set++
		}
	}
	if set == 0 {
		return nil, false
	}
	for i, name := range names {
		if values[i] == "" {
			r.Fault(name, "must be set too, or none of %s", strings.Join(names, ", "))
		}
	}
	return values, set == len(names)
}

// elsewhere is where a provider is emulated; production has no such place.
func elsewhere(r *env.Reader, name string, development bool) string {
	v := r.Address(name, development, false)
	if v != "" && !development {
		r.Fault(name, "is for development only")
	}
	return v
}

// providers builds those that are configured.
func (c FederationConfig) providers(cfg Config, now func() time.Time) []*federation.Provider {
	common := federation.Common{
		Issuer: cfg.Issuer, Now: now,
		Client: outbound.New(outbound.Config{Timeout: providerTimeout, MaxBody: providerAnswer, AllowLoopback: cfg.Development}).HTTP(),
	}
	var all []*federation.Provider
	if c.Google != nil {
		all = append(all, federation.Google(*c.Google, common))
	}
	if c.Apple != nil {
		all = append(all, federation.Apple(*c.Apple, common))
	}
	return all
}
