package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"larder/tests/stack"
)

const (
	// coldStartRounds is odd, for the median.
	coldStartRounds = 5
	// settle is when a started service is idle.
	settle = 2 * time.Second

	coldStartTarget = 65 // ms
	idleTarget      = 35 // MiB
	loadedTarget    = 60 // MiB
)

// start is how long a service takes from its start to the first 200.
type start struct {
	service string
	median  time.Duration
}

// memory is how much a service keeps resident, in MiB: idle, and at most after a turn of load.
type memory struct {
	service      string
	idle, loaded float64
	signingIn    float64 // while passwords are hashed, with the processes that do; 0 where none are
}

func (b *bench) services() []*stack.Service {
	return append(b.AuthServers[:1:1], b.ResourceAPIs...)
}

// coldStarts starts each service anew a few times: keys made, schema current, the other service running.
func (b *bench) coldStarts(ctx context.Context) error {
	for _, service := range b.services() {
		var took []time.Duration
		for range coldStartRounds {
			if err := service.Stop(); err != nil {
				return err
			}
			began := b.now()
			if err := service.Start(ctx); err != nil {
				return err
			}
			took = append(took, b.now().Sub(began))
		}
		slices.Sort(took)
		b.starts = append(b.starts, start{name(service), took[len(took)/2]})
	}
	return nil
}

func (b *bench) idle(ctx context.Context) error {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, service := range b.services() {
		mib, _, err := resident(ctx, service.PID())
		if err != nil {
			return err
		}
		b.memory = append(b.memory, memory{service: name(service), idle: mib})
	}
	return nil
}

// sampleLoaded notes the most that each service holds after a turn; with hashes, together with the processes that hash.
func (b *bench) sampleLoaded(ctx context.Context, hashes bool) {
	for i, service := range b.services() {
		mib, children, err := resident(ctx, service.PID())
		switch {
		case err != nil:
		case hashes && i == 0:
			b.memory[i].signingIn = max(b.memory[i].signingIn, mib+children)
		case !hashes:
			b.memory[i].loaded = max(b.memory[i].loaded, mib)
		}
	}
}

// resident is the resident set of a process, and of those that it started, in MiB. What they share counts for each.
func resident(ctx context.Context, pid int) (own, children float64, err error) {
	out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=,ppid=,rss=").Output()
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(out)) {
		var one, parent, kib int
		if _, err := fmt.Sscan(line, &one, &parent, &kib); err != nil {
			return 0, 0, err
		}
		switch pid {
		case one:
			own += float64(kib) / 1024
		case parent:
			children += float64(kib) / 1024
		}
	}
	return own, children, nil
}

func name(service *stack.Service) string { return strings.Fields(service.Name)[0] }
