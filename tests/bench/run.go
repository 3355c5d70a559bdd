package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"larder/internal/devstack/servers"
	"larder/tests/stack"
)

// turns is how often limit and service alternate within a figure.
const turns = 2

// laterWarmup is enough for the turns after the first, which find everything warm.
const laterWarmup = 200 * time.Millisecond

// run brings everything up, measures and reports.
func (p *plan) run(ctx context.Context, stdout io.Writer) (err error) {
	say("Building both services and preparing a family.")
	binaries, err := stack.Build(ctx)
	if err != nil {
		return err
	}
	main, err := open(ctx, binaries, benchRedis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, main.close(ctx)) }()
	b := &bench{plan: p, binaries: binaries, site: main}
	if err := b.measureAll(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, b.lastWords())
	}
	b.print(stdout)
	path, err := figuresPath()
	if err != nil {
		return err
	}
	return b.write(path)
}

// bench is a run under way and what it has found out.
type bench struct {
	*plan
	*site
	binaries stack.Binaries

	load    *child
	limit   *child
	at      string // of the limit server
	figures []figure
	starts  []start
	memory  []memory
	streams []streams
}

func (b *bench) measureAll(ctx context.Context) (err error) {
	if err := b.coldStarts(ctx); err != nil {
		return err
	}
	if err := b.idle(ctx); err != nil {
		return err
	}
	shop, err := signIn(ctx, b.Stack, slices.Max(b.connections))
	if err != nil {
		return err
	}
	rows, err := shop.rows(ctx)
	if err != nil {
		return err
	}
	emails, err := b.db.invite(ctx, shop.ada.Email)
	if err != nil {
		return err
	}
	signIns := shop.signIns(emails)
	rows = append(rows, signIns)
	rows = slices.DeleteFunc(rows, func(r row) bool { return !b.rows.MatchString(r.name) })
	if err := b.db.prepareLimits(ctx); err != nil {
		return err
	}
	answers, err := b.probe(ctx, rows)
	if err != nil {
		return err
	}
	if b.load, err = startChild(ctx, "load"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.load.stop()) }()
	if b.limit, b.at, err = startLimit(ctx, limitConfig{DatabaseURL: b.db.config.OwnerURL, Answers: answers}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.limit.stop()) }()
	for i := range rows {
		for _, connections := range b.connections {
			say("%s, %d connections", rows[i].name, connections)
			if err := b.measureRow(ctx, &rows[i], connections); err != nil {
				return fmt.Errorf("%s at %d connections: %w", rows[i].name, connections, err)
			}
		}
	}
	if err := b.beside(ctx, signIns, calm(rows)); err != nil {
		return err
	}
	for _, more := range []func(context.Context) error{b.scale, b.idleStreams, b.decisions} {
		if err := more(ctx); err != nil {
			return err
		}
	}
	return nil
}

// probe sends one operation of each row and tells what the answers look like.
func (b *bench) probe(ctx context.Context, rows []row) (map[string]limitAnswer, error) {
	answers := make(map[string]limitAnswer)
	for i := range rows {
		c, err := dial(ctx, rows[i].host, b.now)
		if err != nil {
			return nil, err
		}
		header := make(http.Header)
		c.header = header.Add
		s := &rows[i].scripts[0]
		for more := true; more; {
			got, err := c.roundTrip(s.request(nil))
			if err == nil {
				more, err = s.answered(got)
			}
			if err != nil {
				c.close()
				return nil, fmt.Errorf("%s: %w", rows[i].name, err)
			}
			for _, bound := range rows[i].limits {
				answers[bound.path] = limitAnswer{Size: len(got.body), Header: header}
			}
		}
		c.close()
	}
	return answers, nil
}

// measureRow lets the limits and the service take turns.
func (b *bench) measureRow(ctx context.Context, r *row, connections int) error {
	limits := make([]tally, len(r.limits))
	var service tally
	var ceiling float64
	for turn := range turns {
		if r.ceiling != nil {
			ceiling += r.ceiling(b.now) / turns
		}
		for i, bound := range r.limits {
			if _, err := b.measureTurn(cmp.Or(bound.host, b.at), bound.scripts, connections, turn, &limits[i]); err != nil {
				return fmt.Errorf("the limit: %w", err)
			}
		}
		moved, err := b.measureTurn(r.host, r.scripts, connections, turn, &service)
		if err != nil {
			return err
		}
		// Connections that took no part keep their scripts; the others go on from where they are.
		if len(r.scripts) >= connections {
			copy(r.scripts, moved)
		}
		b.sampleLoaded(ctx, r.ceiling != nil)
	}
	f := service.figure(r.name, connections)
	if len(limits) > 0 {
		f.LimitPerSecond = limits[0].perSecond()
		f.Ratio = f.PerSecond / f.LimitPerSecond
	}
	if r.ceiling != nil {
		f.LimitPerSecond, f.Ratio = ceiling, f.PerSecond/ceiling
	}
	if connections == targetConnections {
		f.target = r.target
	}
	b.figures = append(b.figures, f)
	for i, bound := range r.limits {
		if bound.name != "" {
			extra := limits[i].figure("limit of "+r.name+" with "+bound.name, connections)
			extra.LimitPerSecond, extra.Ratio = extra.PerSecond, 1
			b.figures = append(b.figures, extra)
		}
	}
	return nil
}

func (b *bench) measureTurn(addr string, scripts []script, connections, turn int, into *tally) ([]script, error) {
	warmup := b.warmup
	if turn > 0 {
		warmup = laterWarmup
	}
	done, err := b.load.ask(job{
		Addr: addr, Connections: connections, Warmup: warmup, Measure: b.measure / turns,
		Scripts: scripts[:min(len(scripts), connections)],
	})
	if err != nil {
		return nil, err
	}
	into.add(done)
	return done.Scripts, nil
}

// tally sums the turns of one figure.
type tally struct {
	elapsed   time.Duration
	latencies histogram
}

func (t *tally) add(r *result) {
	if t.latencies == nil {
		t.latencies = newHistogram()
	}
	t.elapsed += r.Elapsed
	t.latencies.merge(r.Latencies)
}

func (t *tally) perSecond() float64 { return float64(t.latencies.count()) / t.elapsed.Seconds() }

func (t *tally) figure(name string, connections int) figure {
	return figure{
		Name: name, Connections: connections, PerSecond: t.perSecond(),
		P50: t.latencies.quantile(0.5), P99: t.latencies.quantile(0.99),
	}
}

func (b *bench) lastWords() string {
	var words strings.Builder
	for _, service := range b.services() {
		words.WriteString(service.Name + " wrote last:\n" + service.LastWords())
	}
	return words.String()
}

func figuresPath() (string, error) {
	dir, err := servers.Directory(os.Getenv)
	return filepath.Join(dir, "bench.json"), err
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
