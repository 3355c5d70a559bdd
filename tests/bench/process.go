package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
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
	signingIn    float64 // while passwords are hashed, 19 MiB each; 0 where none are
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
		mib, err := resident(ctx, service.PID())
		if err != nil {
			return err
		}
		b.memory = append(b.memory, memory{service: name(service), idle: mib})
	}
	return nil
}

// sampleLoaded notes the most that each service holds after a turn; with hashes, it is noted apart.
func (b *bench) sampleLoaded(ctx context.Context, hashes bool) {
	for i, service := range b.services() {
		mib, err := resident(ctx, service.PID())
		switch {
		case err != nil:
		case hashes && i == 0:
			b.memory[i].signingIn = max(b.memory[i].signingIn, mib)
		case !hashes:
			b.memory[i].loaded = max(b.memory[i].loaded, mib)
		}
	}
}

// resident is the resident set of a process in MiB, from /proc or else from ps.
func resident(ctx context.Context, pid int) (float64, error) {
	if raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
		_, rest, _ := bytes.Cut(raw, []byte("VmRSS:"))
		fields := strings.Fields(string(rest))
		if len(fields) > 0 {
			return kibibytes(fields[0])
		}
	}
	out, err := exec.CommandContext(ctx, "ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec // a number
	if err != nil {
		return 0, err
	}
	return kibibytes(strings.TrimSpace(string(out)))
}

func kibibytes(text string) (float64, error) {
	kib, err := strconv.ParseFloat(text, 64)
	return kib / 1024, err
}

func name(service *stack.Service) string { return strings.Fields(service.Name)[0] }
