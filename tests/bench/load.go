package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const maxConnections = 1024

// job is one measurement for the load process.
type job struct {
	Addr        string
	Connections int
	Warmup      time.Duration
	Measure     time.Duration
	// Scripts says what the connections send: connection n follows Scripts[n % len].
	Scripts []script
}

// result is what a job measured.
type result struct {
	Elapsed   time.Duration
	Latencies histogram
	// Scripts are the scripts as they stand now, one per connection: a rotated refresh token cannot be sent again.
	Scripts []script
	Error   string
}

// serveLoad does jobs from stdin one after the other, a line of JSON each.
func serveLoad(ctx context.Context, stdin io.Reader, stdout io.Writer, now func() time.Time) error {
	jobs, results := json.NewDecoder(stdin), json.NewEncoder(stdout)
	for {
		var j job
		if err := jobs.Decode(&j); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		done, err := j.do(ctx, now)
		if err != nil {
			done = &result{Error: err.Error()}
		}
		if err := results.Encode(done); err != nil {
			return err
		}
	}
}

// do drives every connection in a closed loop: the next request goes out when the last has been answered.
func (j *job) do(ctx context.Context, now func() time.Time) (*result, error) {
	if len(j.Scripts) == 0 || j.Connections < 1 || j.Connections > maxConnections {
		return nil, errors.New("a job needs a script and a number of connections")
	}
	start := now()
	from, end := start.Add(j.Warmup), start.Add(j.Warmup+j.Measure)
	var (
		running sync.WaitGroup
		faults  = make([]error, j.Connections)
		spans   = make([]histogram, j.Connections)
		scripts = make([]script, j.Connections)
	)
	for n := range j.Connections {
		scripts[n], spans[n] = j.Scripts[n%len(j.Scripts)], newHistogram()
		// Those that begin at intervals do so one after the other: people do not come all at once.
		wait := scripts[n].Every * time.Duration(n) / time.Duration(j.Connections)
		running.Go(func() {
			time.Sleep(wait)
			faults[n] = scripts[n].drive(ctx, j.Addr, from, end, now, spans[n])
		})
	}
	running.Wait()
	done := &result{Elapsed: j.Measure, Latencies: newHistogram(), Scripts: scripts}
	for n := range j.Connections {
		if faults[n] != nil {
			return nil, fmt.Errorf("connection %d: %w", n, faults[n])
		}
		done.Latencies.merge(spans[n])
	}
	return done, nil
}

// drive follows the script on a connection of its own and counts the operations that end between from and end.
func (s *script) drive(ctx context.Context, addr string, from, end time.Time, now func() time.Time, latencies histogram) error {
	c, err := dial(ctx, addr, now)
	if err != nil {
		return err
	}
	defer c.close()
	var request []byte
	for began := now(); began.Before(end); {
		for step := true; step; {
			request = s.request(request[:0])
			got, err := c.roundTrip(request)
			if err != nil {
				return err
			}
			if step, err = s.answered(got); err != nil {
				return err
			}
		}
		ended := now()
		if ended.After(from) && ended.Before(end) && !s.turnedAway {
			latencies.add(ended.Sub(began))
		}
		pause := s.Every - ended.Sub(began)
		if s.turnedAway {
			pause = max(pause, turnedAwayFor)
		}
		if pause > 0 {
			time.Sleep(min(pause, max(end.Sub(ended), 0)))
			ended = now()
		}
		began = ended
	}
	return nil
}
