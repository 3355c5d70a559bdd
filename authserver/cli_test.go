package main

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/internal/id"
)

func TestHelpTellsANewcomerEveryCommand(t *testing.T) {
	t.Parallel()
	w := &world{} // needs no configuration
	overviewText, _, err := w.run(t, "", "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands() {
		if !strings.Contains(overviewText, c.name) || !strings.Contains(overviewText, c.short) {
			t.Errorf("the overview lacks %q", c.name)
		}
		out, _, err := w.run(t, "", append(strings.Fields(c.name), "--help")...)
		if err != nil || !strings.Contains(out, "Usage: authserver "+c.name) || !strings.Contains(out, "--json") {
			t.Errorf("%s --help: %v\n%s", c.name, err, out)
		}
	}
	for _, variable := range []string{"AUTHSERVER_ISSUER", "AUTHSERVER_KEY_ENCRYPTION_KEYS", "user create", "client create"} {
		if !strings.Contains(overviewText, variable) {
			t.Errorf("the overview lacks %s", variable)
		}
	}
}

func TestWrongCommandLinesAreExplained(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ args, want string }{
		{"", "Usage:"},
		{"frobnicate", "no command"},
		{"client", "client create"},
		{"client create --nmae x", "flag provided but not defined"},
		{"client show", "exactly one"},
		{"client show a b", "exactly one"},
		{"client show nobody", "no such client"},
		{"serve now", "unexpected argument"},
		{"user disable not-an-address", "must be an e-mail address"},
		{"user disable nobody@larder.test", "no account of nobody@larder.test"},
		{"apikey create", "--family"},
	} {
		out, errOut, err := w.run(t, "", strings.Fields(c.args)...)
		if err == nil {
			t.Errorf("%q succeeded: %s", c.args, out)
			continue
		}
		if all := out + errOut + err.Error(); !strings.Contains(all, c.want) {
			t.Errorf("%q says %q, want %q", c.args, all, c.want)
		}
	}
}

func TestAClientsLifeFromTheCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var made, shown clientView
	w.must(t, &made, "", "client", "create", "--id", "web", "--name", "Web", "--redirect-uri", "https://app.example.com/cb",
		"--grant", "authorization_code", "--grant", "refresh_token", "--scope", "openid lists:read", "--resource", testAPI)
	if len(made.ClientSecret) != 43 || made.TokenEndpointAuthMethod != "client_secret_basic" {
		t.Fatalf("%+v", made)
	}
	w.must(t, &shown, "", "client", "show", "web")
	if shown.ClientSecret != "" || shown.ClientName != "Web" || shown.Secrets != 1 {
		t.Fatalf("shown %+v", shown)
	}
	w.must(t, &shown, "", "client", "update", "web", "--name", "New name", "--backchannel-logout-uri", "https://app.example.com/back",
		"--frontchannel-logout-uri", "https://app.example.com/front", "--initiate-login-uri", "https://app.example.com/login")
	if shown.ClientName != "New name" || shown.BackchannelLogoutURI != "https://app.example.com/back" ||
		shown.FrontchannelLogoutURI != "https://app.example.com/front" || shown.InitiateLoginURI != "https://app.example.com/login" || shown.Scope != "openid lists:read" || shown.RedirectURIs[0] != "https://app.example.com/cb" {
		t.Fatalf("updated %+v", shown)
	}
	var rotated map[string]string
	w.must(t, &rotated, "", "client", "rotate-secret", "web")
	w.must(t, &shown, "", "client", "show", "web")
	if rotated["client_secret"] == made.ClientSecret || shown.Secrets != 2 {
		t.Fatalf("rotated to %d secrets", shown.Secrets)
	}
	w.must(t, nil, "", "client", "rotate-secret", "web", "--drop-old")
	w.must(t, &shown, "", "client", "disable", "web")
	if shown.Secrets != 1 || !shown.Disabled {
		t.Fatalf("disabled %+v", shown)
	}
	var all []clientView
	w.must(t, &all, "", "client", "list")
	if len(all) != 1 || all[0].ClientID != "web" {
		t.Fatalf("list %+v", all)
	}
	_, _, err := w.run(t, "", "client", "create", "--redirect-uri", "http://evil.example/#x", "--scope", "root", "--auth", "magic")
	for _, member := range []string{"client_name", "redirect_uris/0", "scope", "token_endpoint_auth_method"} {
		if err == nil || !strings.Contains(err.Error(), member) {
			t.Errorf("%s is wrong and not said so: %v", member, err)
		}
	}
}

func TestAUsersLifeFromTheCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var made map[string]string
	w.must(t, &made, "", "user", "create", "--name", "Olive Ops", "--email", "olive@larder.test", "--operator")
	if len(made["password"]) < 20 {
		t.Fatalf("generated password %q", made["password"])
	}
	var read map[string]string
	w.must(t, &read, "a passphrase of some length\n", "user", "create", "--name", "Ada Baker", "--email", "ada@larder.test", "--password-stdin")
	if _, shown := read["password"]; shown {
		t.Fatal("a password that was typed is shown")
	}
	if _, _, err := w.run(t, "", "user", "create", "--name", "Ada", "--email", "ADA@larder.test"); err == nil || err.Error() != "This e-mail address has an account already." {
		t.Fatalf("the same address in another spelling: %v; want one sentence", err)
	}
	if _, _, err := w.run(t, "short\n", "user", "set-password", "ada@larder.test", "--password-stdin"); err == nil {
		t.Fatal("a short password was accepted")
	}
	if _, _, err := w.run(t, "", "user", "set-password", "ada@larder.test", "--password-stdin"); err == nil {
		t.Fatal("no password at all was accepted")
	}
	w.must(t, &read, "", "user", "set-password", "ada@larder.test")
	if read["password"] == "" {
		t.Fatal("no password was generated")
	}
	w.must(t, nil, "", "user", "set-profile", "ada@larder.test", "--claim", "birthdate=1990-12-31", "--claim", "address.locality=Wien",
		"--claim", "phone_number=+431234567", "--claim", "phone_number_verified=true")
	if _, _, err := w.run(t, "", "user", "set-profile", "ada@larder.test", "--claim", "birthdate=soon"); err == nil {
		t.Fatal("a birthdate that is none was accepted")
	}
	if out, _, err := w.run(t, "", "user", "disable", made["id"]); err != nil || !strings.Contains(out, "olive@larder.test  true      true") {
		t.Fatalf("it shows %q, %v; want the account as it is now", out, err)
	}
	var all []userView
	w.must(t, &all, "", "user", "list")
	if address, _ := all[1].Profile["address"].(map[string]any); address["formatted"] != "Wien" || all[1].Profile["phone_number_verified"] != true {
		t.Fatalf("%+v", all[1])
	}
	if len(all) != 2 || !all[0].Operator || !all[0].Disabled || all[1].Operator || all[1].Disabled {
		t.Fatalf("%+v", all)
	}
	w.must(t, nil, "", "user", "disable", "olive@larder.test", "--undo")
	w.must(t, &all, "", "user", "list")
	if all[0].Disabled {
		t.Fatal("still disabled")
	}
}

func TestAnAPIKeysLifeFromTheCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type key struct {
		ID        string `json:"id"`
		APIKey    string `json:"api_key"`
		FamilyID  string `json:"family_id"`
		RevokedAt string `json:"revoked_at"`
	}
	var made key
	family := id.New().String()
	if _, _, err := w.run(t, "", "apikey", "create", "--family", family, "--name", "Fridge", "--scope", "admin"); err == nil {
		t.Fatal("a scope that is not the API's was accepted")
	}
	var accounts int
	if err := w.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.service_accounts`).Scan(&accounts); err != nil || accounts != 0 {
		t.Fatalf("a refused key left %d accounts behind: %v", accounts, err)
	}
	w.must(t, &made, "", "apikey", "create", "--family", family, "--name", "Fridge", "--scope", "lists:read", "--expires", "24h")
	if !strings.HasPrefix(made.APIKey, "lrd_live_") || made.FamilyID != family {
		t.Fatalf("%+v", made)
	}
	w.must(t, nil, "", "apikey", "revoke", made.ID)
	var all []key
	w.must(t, &all, "", "apikey", "list")
	if len(all) != 1 || all[0].RevokedAt == "" || all[0].APIKey != "" {
		t.Fatalf("%+v", all)
	}
}

func TestKeysFromTheCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type status struct{ KID, Alg, State string }
	count := func(all []status, state string) (n int) {
		for _, s := range all {
			if s.State == state {
				n++
			}
		}
		return n
	}
	var all []status
	w.must(t, &all, "", "keys", "rotate")
	if count(all, "active") != 4 || count(all, "pending") != 4 {
		t.Fatalf("%+v", all)
	}
	w.must(t, &all, "", "keys", "rotate", "--now")
	if count(all, "active") != 4 || count(all, "pending") != 0 || count(all, "replaced") != 8 {
		t.Fatalf("%+v", all)
	}
	second := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("n", 32)))
	both := w.with("AUTHSERVER_KEY_ENCRYPTION_KEYS", second+","+kekText())
	var n map[string]int
	both.must(t, &n, "", "keys", "rewrap")
	if n["rewrapped"] < 9 {
		t.Fatalf("%v", n)
	}
	w.with("AUTHSERVER_KEY_ENCRYPTION_KEYS", second).must(t, &all, "", "keys", "rotate")
	if _, _, err := w.run(t, "", "keys", "rotate"); err == nil {
		t.Fatal("the old key-encryption key still opens")
	}
}

func TestMigrateIsSafeToRepeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w = w.with("AUTHSERVER_MIGRATE_DATABASE_URL", w.db.OwnerURL)
	for range 2 {
		w.must(t, nil, "", "migrate")
	}
	if _, _, err := w.with("AUTHSERVER_MIGRATE_DATABASE_URL", "").run(t, "", "migrate"); err == nil || errors.Is(err, errUsage) {
		t.Fatalf("without an owner: %v", err)
	}
}

// An operator sees the audit log, and learns that somebody changed it.
func TestTheAuditLogFromTheCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(t, nil, "", "client", "create", "--id", "web", "--name", "Web", "--redirect-uri", "https://app.example.com/cb", "--scope", "openid")
	out, _, err := w.run(t, "", "audit", "export", "--action", "client.created", "--since", "2020-01-01T00:00:00Z")
	if err != nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, `"target":"web"`) || strings.Contains(out, "family") {
		t.Errorf("exported %s, %v", out, err)
	}
	if out, _, err = w.run(t, "", "audit", "export", "--until", "2020-01-01T00:00:00Z"); err != nil || out != "" {
		t.Errorf("exported of before: %s, %v", out, err)
	}
	var report struct {
		Intact             bool
		Entries, Unsettled int
		Checkpoint         string
	}
	w.must(t, &report, "", "audit", "verify")
	if !report.Intact || report.Entries+report.Unsettled == 0 || report.Checkpoint == "" {
		t.Errorf("%+v", report)
	}
	if _, _, err = w.run(t, "", "audit", "verify", "--checkpoint", report.Checkpoint+"x"); err == nil {
		t.Error("a checkpoint that nobody signed was taken")
	}
	if _, err := w.db.Owner.Exec(t.Context(), `INSERT INTO auth.audit_chain VALUES ('00000000-0000-0000-0000-000000000001', 9, gen_random_uuid(), '')`); err != nil {
		t.Fatal(err)
	}
	if out, _, err = w.run(t, "", "audit", "verify"); !errors.Is(err, errTampered) || !strings.Contains(out, "missing") {
		t.Errorf("tampered with: %s, %v", out, err)
	}
}

// A client can be described by a document, as one that registers itself is, and
// what is shown of it can be changed and given back.
func TestAClientFromADocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var made clientView
	w.must(t, &made, `{"client_name": "Vault", "redirect_uris": ["https://app.example.com/cb"], "grant_types": ["authorization_code"],
		"scope": "openid", "jwks_uri": "https://app.example.com/jwks",
		"id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A256GCM"}`,
		"client", "create", "--id", "vault", "--from", "-", "--name", "The vault")
	if made.ClientName != "The vault" || made.IDTokenEncryptedAlg != "ECDH-ES" || made.IDTokenEncryptedEnc != "A256GCM" || made.ClientSecret == "" {
		t.Fatalf("made %+v", made)
	}
	shown, _, err := w.run(t, "", "client", "show", "vault", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var changed clientView
	w.must(t, &changed, strings.Replace(shown, `"A256GCM"`, `"A128GCM"`, 1), "client", "update", "vault", "--from", "-")
	want := made
	want.IDTokenEncryptedEnc, want.Version, want.ClientSecret = "A128GCM", 2, ""
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	for _, wrong := range []string{`{"client_nmae": "x"}`, `[]`, ``} {
		if _, _, err := w.run(t, wrong, "client", "update", "vault", "--from", "-"); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}
