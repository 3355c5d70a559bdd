package main

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/authserver/oidc"
	"larder/authserver/registration"
)

func kekText() string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))) }

func goodEnv() map[string]string {
	return map[string]string{
		"AUTHSERVER_ISSUER":              "https://login.example.com",
		"AUTHSERVER_DATABASE_URL":        "postgres://u:hidden@localhost/db",
		"AUTHSERVER_REDIS_URL":           "redis://:hidden@localhost/0",
		"AUTHSERVER_KEY_ENCRYPTION_KEYS": kekText(),
		"AUTHSERVER_RESOURCE_SERVERS":    "https://api.example.com=lists:read lists:write; https://other.example.com=x:y",
		"AUTHSERVER_TRUSTED_PROXIES":     "10.0.0.0/8, 192.0.2.1",
	}
}

func lookup(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func TestAGoodConfigurationIsRead(t *testing.T) {
	t.Parallel()
	c, err := loadConfig(lookup(goodEnv()), needServe)
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != defaultAddr || c.InternalAddr != defaultInternalAddr || c.KEK == nil || c.DatabaseConns != defaultDatabaseConns {
		t.Errorf("%+v", c)
	}
	want := []oidc.ResourceServer{
		{Resource: "https://api.example.com", Scopes: []string{"lists:read", "lists:write"}},
		{Resource: "https://other.example.com", Scopes: []string{"x:y"}},
	}
	if diff := cmp.Diff(want, c.ResourceServers); diff != "" {
		t.Errorf("resource servers (-want +got):\n%s", diff)
	}
	if len(c.TrustedProxies) != 2 || !c.TrustedProxies[1].Contains(netip.MustParseAddr("192.0.2.1")) {
		t.Errorf("proxies %v", c.TrustedProxies)
	}
	if printed := fmt.Sprintf("%+v", c); strings.Contains(printed, "hidden") || strings.Contains(printed, kekText()) {
		t.Errorf("a printed configuration shows a secret: %s", printed)
	}
}

// An operator finds every setting in the help, and no other.
func TestHelpNamesEverySetting(t *testing.T) {
	t.Parallel()
	read, env := map[string]bool{}, goodEnv()
	env["AUTHSERVER_INTERNAL_ADDR"] = "0.0.0.0:9001" // which asks for another
	_, err := loadConfig(func(name string) string {
		read[name] = true
		return env[name]
	}, needServe|needOwner)
	if len(read) < 30 {
		t.Fatalf("only %v were read, %v", read, err)
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`(AUTHSERVER|GOOGLE|APPLE)_[A-Z_]+`).FindAllString(environment, -1) {
		named[name] = true
	}
	if diff := cmp.Diff(read, named); diff != "" {
		t.Errorf("settings (-read +named in the help):\n%s", diff)
	}
}

func TestWhoMayRegisterClients(t *testing.T) {
	t.Parallel()
	development := map[string]string{"AUTHSERVER_DEVELOPMENT": "true", "AUTHSERVER_ISSUER": ""}
	for name, c := range map[string]struct {
		set  map[string]string
		want registration.Policy
	}{
		"nobody by default":  {nil, registration.Policy{}},
		"nobody":             {map[string]string{"AUTHSERVER_REGISTRATION": "off"}, registration.Policy{}},
		"who brings a token": {map[string]string{"AUTHSERVER_REGISTRATION": "initial_access_token"}, registration.Policy{InitialToken: true}},
		"without PKCE":       {map[string]string{"AUTHSERVER_REGISTRATION_WITHOUT_PKCE": "true"}, registration.Policy{WithoutPKCE: true}},
		"all in development": {development, registration.Policy{Open: true, InitialToken: true, WithoutPKCE: true}},
	} {
		env := goodEnv()
		maps.Copy(env, c.set)
		cfg, err := loadConfig(lookup(env), needServe)
		if err != nil || cfg.Registration != c.want {
			t.Errorf("%s: %+v, %v", name, cfg.Registration, err)
		}
	}
	for _, value := range []string{"open", "yes"} {
		env := goodEnv()
		env["AUTHSERVER_REGISTRATION"] = value
		if _, err := loadConfig(lookup(env), needServe); err == nil || !strings.Contains(err.Error(), "AUTHSERVER_REGISTRATION:") {
			t.Errorf("%s in production: %v", value, err)
		}
	}
}

func TestEveryFaultIsReportedAtOnceAndNoSecretWithIt(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		"AUTHSERVER_ISSUER":                "http://login.example.com/path?x",
		"AUTHSERVER_ADDR":                  "nonsense",
		"AUTHSERVER_INTERNAL_ADDR":         "0.0.0.0:9001",
		"AUTHSERVER_DATABASE_URL":          "postgres://u:hidden@localhost:notaport/db",
		"AUTHSERVER_MIGRATE_DATABASE_URL":  "postgres://u:hidden@localhost:notaport/db",
		"AUTHSERVER_REDIS_URL":             "http://:hidden@localhost",
		"AUTHSERVER_KEY_ENCRYPTION_KEYS":   "c2hvcnQ=",
		"AUTHSERVER_RESOURCE_SERVERS":      "/relative=x",
		"AUTHSERVER_DATA_HOLDERS":          "https://unknown.example.com=ftp://x",
		"AUTHSERVER_TRUSTED_PROXIES":       "everybody",
		"AUTHSERVER_DEVELOPMENT":           "perhaps",
		"AUTHSERVER_LOG_LEVEL":             "loud",
		"AUTHSERVER_ACCESS_TOKEN_LIFESPAN": "10y",
		"AUTHSERVER_DATABASE_CONNECTIONS":  "0",
		"AUTHSERVER_GEOIP_DATABASE":        "config_test.go",
		"AUTHSERVER_BRAND_NAME":            "{{.}}",
		"AUTHSERVER_BRAND_ACCENT_LIGHT":    "#ffcc00",
		"AUTHSERVER_BRAND_ACCENT_DARK":     "blue",
		"AUTHSERVER_BRAND_LOGO":            "/nowhere/logo.svg",
		"AUTHSERVER_BRAND_CONTACT":         "Help <help@example.com>",
		"AUTHSERVER_BRAND_TERMS_URL":       "http://example.com/terms",
		"AUTHSERVER_BRAND_PRIVACY_URL":     "javascript:alert(1)",
		"APPLE_PRIVATE_KEY":                "hidden, and no key",
		"APPLE_CLIENT_ID":                  "com.example.larder",
		"APPLE_TEAM_ID":                    "TEAM",
		"GOOGLE_CLIENT_ID":                 "google's",
		"AUTHSERVER_GOOGLE_URL":            "http://127.0.0.1:1",
	}
	_, err := loadConfig(lookup(bad), needServe)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, missing := range []string{"APPLE_KEY_ID", "GOOGLE_CLIENT_SECRET"} {
		bad[missing] = ""
	}
	for name := range maps.Keys(bad) {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "hidden") {
		t.Errorf("a secret is shown:\n%v", err)
	}
	_, err = loadConfig(lookup(nil), needServe|needOwner)
	for _, name := range []string{"ISSUER", "DATABASE_URL", "MIGRATE_DATABASE_URL", "REDIS_URL", "KEY_ENCRYPTION_KEYS"} {
		if err == nil || !strings.Contains(err.Error(), "AUTHSERVER_"+name+": must be set") {
			t.Errorf("%s is missing and not said so:\n%v", name, err)
		}
	}
}

func TestIssuers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		issuer, addr, development string
		want                      string // "" is refused
	}{
		{"https://login.example.com", "0.0.0.0:443", "", "https://login.example.com"},
		{"http://localhost:9000", "localhost:9000", "true", "http://localhost:9000"},
		{"http://[::1]:9000", "[::1]:9000", "true", "http://[::1]:9000"},
		{"", "127.0.0.1:9000", "true", "http://127.0.0.1:9000"},
		{"", "127.0.0.1:9000", "", ""},
		{"", "0.0.0.0:9000", "true", ""},
		{"http://localhost:9000", "localhost:9000", "", ""},
		{"http://login.example.com", "localhost:9000", "true", ""},
		{"https://login.example.com/", "localhost:9000", "", ""},
		{"https://login.example.com?", "localhost:9000", "", ""},
		{"https://u@login.example.com", "localhost:9000", "", ""},
		{"login.example.com", "localhost:9000", "", ""},
	} {
		env := goodEnv()
		env["AUTHSERVER_ISSUER"], env["AUTHSERVER_ADDR"], env["AUTHSERVER_DEVELOPMENT"] = c.issuer, c.addr, c.development
		got, err := loadConfig(lookup(env), needServe)
		if (err == nil) != (c.want != "") || (err == nil && got.Issuer != c.want) {
			t.Errorf("%+v: %q, %v", c, got.Issuer, err)
		}
	}
}
