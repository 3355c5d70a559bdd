package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/argon2"

	"larder/internal/id"
)

const (
	nameSignIn = "password sign-in"
	// people sign in in turn, each at a browser of theirs, so that nobody has more sessions than a person has.
	people     = 512
	eachScript = people / 64

	// A crowd is four times the sign-ins that the machine can do, on connections enough that none waits for another.
	crowdFactor      = 4
	crowdConnections = 256
	calmConnections  = 4
	// calmTarget is the share of its unloaded p99 that work must keep beside a crowd: it may take three times as long.
	calmTarget = 1.0 / 3
)

// invite makes people with the password of one who is there.
func (d *database) invite(ctx context.Context, like string) (emails []string, err error) {
	conn, err := pgx.Connect(ctx, d.config.OwnerURL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	b := &pgx.Batch{}
	for n := range people {
		person, email := id.New(), fmt.Sprintf("person-%d@bench.example", n)
		emails = append(emails, email)
		b.Queue(`INSERT INTO auth.users (id, name) VALUES ($1, 'Somebody')`, person)
		b.Queue(`INSERT INTO auth.emails (canonical, user_id, address, verified_at) VALUES ($1, $2, $1, now())`, email, person)
		b.Queue(`INSERT INTO auth.passwords (user_id, hash)
SELECT $1, p.hash FROM auth.passwords p JOIN auth.emails e USING (user_id) WHERE e.address = $2`, person, like)
	}
	return emails, conn.SendBatch(ctx, b).Close()
}

// signIns is the row of sign-ins by password. Its limit is reckoned, not served: as many hashes as all cores can do.
func (p *shop) signIns(emails []string) row {
	at := host(p.Issuer)
	r := row{name: nameSignIn, host: at, target: target{ratio: 0.8}, ceiling: hashesPerSecond}
	for n := 0; n+eachScript <= len(emails); n += eachScript {
		s := script{SignIn: true}
		for i, email := range emails[n : n+eachScript] {
			body := url.Values{"action": {"login"}, "email": {email}, "password": {p.ada.Password}}.Encode()
			s.Requests = append(s.Requests, message(http.MethodPost, at, "/login", body, form, fmt.Sprintf("Cookie: larder-device=%021dA", n+i)))
		}
		r.scripts = append(r.scripts, s)
	}
	return r
}

// hashesPerSecond is cores / the time of one Argon2id of 19 MiB and two passes, the median of some.
func hashesPerSecond(now func() time.Time) float64 {
	times := make([]time.Duration, 15)
	for i := range times {
		began := now()
		argon2.IDKey([]byte("a password of some length"), []byte("0123456789abcdef"), 2, 19<<10, 1, 32)
		times[i] = now().Sub(began)
	}
	slices.Sort(times)
	return float64(runtime.NumCPU()) / times[len(times)/2].Seconds()
}

// turnedAwayFor is how long a connection that was told to come again waits.
const turnedAwayFor = 100 * time.Millisecond

// signedIn judges an answer to a sign-in. It may be 503 where too many wait, if it says when to come again; that is no
// sign-in.
func (s *script) signedIn(got *answer) error {
	s.turnedAway = got.status == http.StatusServiceUnavailable && got.retryAfter
	if s.turnedAway || got.status == http.StatusSeeOther && string(got.location) == "/account" {
		return nil
	}
	return refused(got)
}

// beside measures rows alone and beside a crowd of sign-ins: whoever is signed in already must not suffer from it.
func (b *bench) beside(ctx context.Context, crowd row, rows []row) (err error) {
	var rate float64
	for _, f := range b.figures {
		if f.Name == nameSignIn {
			rate = max(rate, f.PerSecond)
		}
	}
	if rate == 0 {
		return nil // not among the rows of this run
	}
	other, err := startChild(ctx, "load")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.stop()) }()
	scripts := make([]script, crowdConnections)
	for n := range scripts {
		scripts[n] = crowd.scripts[n%len(crowd.scripts)]
		scripts[n].Every = time.Duration(crowdConnections / (crowdFactor * rate) * float64(time.Second))
	}
	for _, r := range rows {
		say("%s, beside %.0f sign-ins a second", r.name, crowdFactor*rate)
		var alone, crowded tally
		moved, err := b.measureTurn(r.host, r.scripts, calmConnections, 0, &alone)
		if err != nil {
			return err
		}
		if len(r.scripts) >= calmConnections {
			copy(r.scripts, moved)
		}
		done := make(chan error, 1)
		go func() {
			_, err := other.ask(job{
				Addr: crowd.host, Connections: crowdConnections, Warmup: b.warmup, Measure: b.warmup + b.measure, Scripts: scripts,
			})
			done <- err
		}()
		moved, err = b.measureTurn(r.host, r.scripts, calmConnections, 0, &crowded)
		if err = errors.Join(err, <-done); err != nil {
			return err
		}
		if len(r.scripts) >= calmConnections {
			copy(r.scripts, moved)
		}
		f, quiet := crowded.figure(r.name+" beside 4 x sign-ins", calmConnections), alone.figure(r.name, calmConnections)
		f.LimitPerSecond, f.Ratio, f.target = quiet.PerSecond, quiet.P99/f.P99, target{ratio: calmTarget}
		b.figures = append(b.figures, f)
	}
	return nil
}

// calm are the rows that must not suffer from a crowd of sign-ins.
func calm(rows []row) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.name != "refresh rotation" && !strings.EqualFold(r.name, "jwks") })
}
