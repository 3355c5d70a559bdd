package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	now := time.Now //nolint:forbidigo // main injects the clock
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, now); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has run
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer, now func() time.Time) error {
	if len(args) == 1 && args[0] == "load" {
		return serveLoad(ctx, stdin, stdout, now)
	}
	if len(args) == 1 && args[0] == "limit" {
		return serveLimit(ctx, stdin, stdout, now)
	}
	plan, err := parse(args)
	if err != nil {
		return err
	}
	plan.now = now
	return plan.run(ctx, stdout)
}

// plan is what a run measures, and for how long.
type plan struct {
	warmup, measure time.Duration
	connections     []int
	rows            *regexp.Regexp
	now             func() time.Time
}

func parse(args []string) (*plan, error) {
	var p plan
	var connections, rows string
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.DurationVar(&p.warmup, "warmup", 800*time.Millisecond, "load before measuring begins")
	set.DurationVar(&p.measure, "measure", 3*time.Second, "how long to measure each figure")
	set.StringVar(&connections, "connections", "1,16,64", "numbers of connections")
	set.StringVar(&rows, "rows", "", "measure only rows whose name matches this regular expression")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	for part := range strings.SplitSeq(connections, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > maxConnections {
			return nil, fmt.Errorf("-connections: %q is not a number from 1 to %d", part, maxConnections)
		}
		p.connections = append(p.connections, n)
	}
	var err error
	p.rows, err = regexp.Compile(rows)
	return &p, err
}
