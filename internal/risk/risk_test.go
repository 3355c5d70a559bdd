package risk_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/riverqueue/river"

	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/link"
	"larder/internal/mail"
	"larder/internal/pgtest"
	"larder/internal/risk"
)

// letters keeps what would have been sent.
type letters struct{ all []mail.Letter }

func (l *letters) Insert(_ context.Context, _ pgx.Tx, args river.JobArgs) error {
	letter, ok := args.(mail.Letter)
	if !ok {
		return errors.New("not a letter")
	}
	l.all = append(l.all, letter)
	return nil
}

// world is a tiny database of places.
func world(t *testing.T) *risk.Places {
	t.Helper()
	places, err := risk.OpenPlaces(database(t, "GeoLite2-City"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = places.Close() })
	return places
}

// database writes the file of one.
func database(t *testing.T, kind string) string {
	t.Helper()
	db, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	// In this order: what is inserted last holds where networks overlap.
	for _, at := range []struct {
		network, city, country string
		latitude, longitude    float64
	}{
		{"192.0.2.0/24", "Lyon", "France", 45.76, 4.84},
		{"198.51.100.0/24", "Geneva", "Switzerland", 46.2, 6.15},
		{"203.0.113.0/24", "Auckland", "New Zealand", -36.85, 174.76},
		{"2001:db8::/32", "", "Iceland", 64.15, -21.94},
		{"100.64.0.0/10", "", "", 0, 0},
		{"2001:db8:1::/48", "Oslo", "Norway", 59.91, 10.75},
		{"198.18.0.0/15", "Lyon", "France", 45.76, 4.84},
		{"2001:db8:ff::/48", "Lyon", "France", 45.76, 4.84},
	} {
		_, ipnet, err := net.ParseCIDR(at.network)
		if err != nil {
			t.Fatal(err)
		}
		english := func(name string) mmdbtype.Map {
			names := mmdbtype.Map{"en": mmdbtype.String(name)}
			if german := map[string]string{"Geneva": "Genf", "Switzerland": "Schweiz"}[name]; german != "" {
				names["de"] = mmdbtype.String(german)
			}
			return mmdbtype.Map{"names": names}
		}
		err = db.Insert(ipnet, mmdbtype.Map{
			"city": english(at.city), "country": english(at.country),
			"location": mmdbtype.Map{"latitude": mmdbtype.Float64(at.latitude), "longitude": mmdbtype.Float64(at.longitude)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "city.mmdb")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPlaces(t *testing.T) {
	places := world(t)
	for source, want := range map[string]string{
		"192.0.2.7": "Lyon, France", "2001:db8:5::/64": "Iceland", "2001:db8:1:2::/64": "Oslo, Norway", "9.9.9.9": "", "unknown": "", "": "",
	} {
		if got := places.Find(source).Name; got != want {
			t.Errorf("%q is at %q, want %q", source, got, want)
		}
	}
	for language, want := range map[string]string{"en": "Geneva, Switzerland", "de": "Genf, Schweiz", "fr": "Geneva, Switzerland"} {
		if got := places.Name("198.51.100.7", language); got != want {
			t.Errorf("in %s it is %q, want %q", language, got, want)
		}
	}
	var none *risk.Places
	if got := none.Name("192.0.2.7", "en"); got != "" {
		t.Errorf("without a database: %q", got)
	}
	if got := none.Find("192.0.2.7"); got != (risk.Place{}) {
		t.Errorf("without a database: %+v", got)
	}
	whole, err := os.ReadFile(database(t, "GeoLite2-City"))
	if err != nil {
		t.Fatal(err)
	}
	file := func(content []byte) string {
		path := filepath.Join(t.TempDir(), "city.mmdb")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, path := range map[string]string{
		"not there": filepath.Join(t.TempDir(), "nothing.mmdb"), "a directory": t.TempDir(), "empty": file(nil), "cut off": file(whole[:len(whole)/2]),
		"something else": file([]byte("name,place\n")), "of countries": database(t, "GeoLite2-Country"),
	} {
		if _, err := risk.OpenPlaces(path); err == nil {
			t.Errorf("a database that is %s opens", name)
		}
	}
	// One that is spoilt within is noticed by nobody, and tells nothing.
	words := bytes.Index(whole, []byte("Switzerland"))
	spoilt, err := risk.OpenPlaces(file(slices.Concat(whole[:words-40], bytes.Repeat([]byte{0xff}, 60), whole[words+20:])))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = spoilt.Close() })
	if got := spoilt.Name("198.51.100.7", "en") + spoilt.Find("198.51.100.7").Name; got != "" {
		t.Errorf("a spoilt database says %q", got)
	}
}

// fixture is a person with a clock.
type fixture struct {
	*risk.SignIns
	user    id.ID
	now     time.Time
	letters *letters
	db      *pgtest.DB
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{user: id.New(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), letters: &letters{}, db: pgtest.New(t)}
	f.SignIns = &risk.SignIns{DB: f.db.Auth, Jobs: f.letters, Places: world(t), Now: func() time.Time { return f.now }}
	f.Links = &link.Links{DB: f.db.Auth, Now: f.Now}
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO auth.users (id, name) VALUES ($1, 'Ada Baker')`, f.user)
	b.Queue(`INSERT INTO auth.emails (canonical, user_id, address) VALUES ('ada@example.com', $1, 'Ada@example.com')`, f.user)
	b.Queue(`INSERT INTO auth.passwords (user_id, hash) VALUES ($1, 'x')`, f.user)
	if err := f.db.Auth.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) visit(t *testing.T, device, source string) {
	t.Helper()
	err := f.Remember(t.Context(), risk.Visit{User: f.user, SID: "session " + device, Device: device, Source: source, UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"})
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) fail(t *testing.T, times int) {
	t.Helper()
	for range times {
		e := audit.Event{OccurredAt: f.now, Action: "login.failed", Result: audit.Failure, Actor: audit.Actor{Kind: "anonymous"}, Target: f.user.String()}
		if err := audit.Auth().Insert(t.Context(), f.db.Auth, e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatMakesASignInLookUnlikeItsOwner(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, step := range []struct {
		name           string
		before         func()
		device, source string
		passkey        bool
		level          risk.Level
		signals        []string
	}{
		{name: "the first sign-in ever", device: "a", source: "203.0.113.1", level: risk.Low},
		{name: "the same browser", before: func() { f.visit(t, "a", "192.0.2.1") }, device: "a", source: "192.0.2.99", level: risk.Low},
		{name: "another browser at home", device: "b", source: "192.0.2.1", level: risk.Low, signals: []string{risk.NewDevice}},
		{name: "the laptop next door", device: "a", source: "198.51.100.1", level: risk.Low, signals: []string{risk.NewNetwork}},
		{name: "a new browser next door", device: "b", source: "198.51.100.1", level: risk.Medium, signals: []string{risk.NewDevice, risk.NewNetwork}},
		{name: "the laptop round the world at once", device: "a", source: "203.0.113.1", level: risk.Medium, signals: []string{risk.NewNetwork, risk.ImpossibleTravel}},
		{name: "a stranger round the world", device: "b", source: "203.0.113.1", level: risk.High, signals: []string{risk.NewDevice, risk.NewNetwork, risk.ImpossibleTravel}},
		{name: "a day later that is a flight", before: func() { f.now = f.now.Add(24 * time.Hour) }, device: "b", source: "203.0.113.1", level: risk.Medium, signals: []string{risk.NewDevice, risk.NewNetwork}},
		{name: "five wrong passwords", before: func() { f.fail(t, 5) }, device: "b", source: "198.51.100.1", level: risk.Medium, signals: []string{risk.NewDevice, risk.NewNetwork}},
		{name: "six, at a strange browser", before: func() { f.fail(t, 1) }, device: "b", source: "198.51.100.1", level: risk.High, signals: []string{risk.NewDevice, risk.NewNetwork, risk.RecentFailures}},
		{name: "six, at the owner's own", device: "a", source: "192.0.2.1", level: risk.Low, signals: []string{risk.RecentFailures}},
		{name: "a passkey is not guessed", device: "a", source: "192.0.2.1", passkey: true, level: risk.Low},
		{name: "an hour later", before: func() { f.now = f.now.Add(time.Hour + time.Second) }, device: "a", source: "192.0.2.1", level: risk.Low},
		{
			name: "a stolen password at a new browser", device: "b", source: "192.0.2.1", level: risk.High, signals: []string{risk.NewDevice, risk.BreachedPassword},
			before: func() {
				if _, err := f.db.Auth.Exec(t.Context(), `UPDATE auth.passwords SET breached_at = now()`); err != nil {
					t.Fatal(err)
				}
			},
		},
	} {
		if step.before != nil {
			step.before()
		}
		got, err := f.Assess(t.Context(), f.user, step.device, step.source, !step.passkey)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.signals, got.Signals); diff != "" || got.Level() != step.level {
			t.Errorf("%s: %d is %s, want %s; signals (-want +got):\n%s", step.name, got.Score, got.Level(), step.level, diff)
		}
		if got.Answer().Level() == risk.High {
			t.Errorf("%s: still high after a second factor", step.name)
		}
	}
	var none *risk.Assessment
	if none.Level() != "" || none.Answer() != nil {
		t.Error("nobody looked, and yet there is a level")
	}
}

func TestTheOwnerHearsOfANewBrowser(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.visit(t, "a", "192.0.2.1")
	f.visit(t, "a", "198.51.100.1")
	if len(f.letters.all) != 0 {
		t.Errorf("mails of the first browser: %v", f.letters.all)
	}
	f.visit(t, "b", "198.51.100.1")
	f.visit(t, "b", "198.51.100.1")
	want := []mail.Letter{{
		Template: "new_sign_in", To: "Ada@example.com", Name: "Ada Baker",
		Facts: map[string]string{"device": "Firefox on Linux", "where": "Geneva, Switzerland (198.51.100.1)", "when": "1 March 2026 at 12:00 UTC"},
	}}
	found, err := f.Links.Find(t.Context(), risk.NewsPurpose, f.letters.all[0].Link.ID)
	if err != nil {
		t.Fatal(err)
	}
	news, told := risk.News{}, risk.News{User: f.user, SID: "session b", Device: "Firefox on Linux", Where: "Geneva, Switzerland (198.51.100.1)", At: f.now}
	if err := found.Into(&news); err != nil || news != told {
		t.Errorf("the link is about %+v, want %+v; %v", news, told, err)
	}
	want[0].Link = &mail.Link{Purpose: risk.NewsPurpose, Path: risk.NewsPath, ID: found.ID}
	if diff := cmp.Diff(want, f.letters.all); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	var events int
	if err := f.db.Auth.QueryRow(t.Context(), `SELECT count(*) FROM auth.audit_events WHERE action = 'login.new_device'`).Scan(&events); err != nil || events != 1 {
		t.Errorf("%d events, want 1 (%v)", events, err)
	}
}

func TestTwentyBrowsersAreRecognised(t *testing.T) {
	t.Parallel()
	f := setup(t)
	recognised := func(device string) bool {
		ok, err := f.Recognised(t.Context(), "ada@example.com", device)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	var devices []string
	for i := range 22 {
		devices = append(devices, string(rune('a'+i)))
		f.now = f.now.Add(time.Minute)
		f.visit(t, devices[i], "192.0.2.1")
	}
	if recognised("a") || recognised("b") || slices.ContainsFunc(devices[2:], func(d string) bool { return !recognised(d) }) {
		t.Error("not the newest twenty are recognised")
	}
	if recognised("") {
		t.Error("no browser is recognised")
	}
	if ok, err := f.Recognised(t.Context(), "eve@example.com", "z"); ok || err != nil {
		t.Errorf("recognised for somebody else: %v %v", ok, err)
	}
	f.now = f.now.Add(risk.RecognisedFor)
	if recognised(devices[21]) {
		t.Error("recognised for ever")
	}
}
