package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"text/tabwriter"
)

// figure is one line of bench.json. LimitPerSecond and Ratio are 0 where no limit stands for the work.
type figure struct {
	Name           string  `json:"name"`
	Connections    int     `json:"connections"`
	PerSecond      float64 `json:"per_second"`
	P50            float64 `json:"p50_ms"`
	P99            float64 `json:"p99_ms"`
	LimitPerSecond float64 `json:"limit_per_second"`
	Ratio          float64 `json:"ratio"`

	target target
}

// verdict compares with the target, in words.
func (f figure) verdict() (want, ok string) {
	var met bool
	switch {
	case f.target.ratio > 0:
		want, met = fmt.Sprintf("ratio %.2f", f.target.ratio), f.Ratio >= f.target.ratio
	case f.target.perSecond > 0:
		want, met = fmt.Sprintf("%.0f/s", f.target.perSecond), f.PerSecond >= f.target.perSecond
	case f.target.p50 > 0:
		want, met = fmt.Sprintf("p50 %.3f ms", f.target.p50), f.P50 <= f.target.p50
	default:
		return "", ""
	}
	return want, yes(met)
}

func milliseconds(x float64) string {
	if x < 0.1 {
		return fmt.Sprintf("%.4f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func yes(met bool) string {
	if met {
		return "yes"
	}
	return "NO"
}

// print writes the table and says plainly what was missed.
func (b *bench) print(out io.Writer) {
	missed := 0
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(cells ...any) {
		for _, cell := range cells {
			fmt.Fprintf(table, "%v\t", cell)
		}
		fmt.Fprintln(table)
	}
	count := func(ok string) string {
		if ok == yes(false) {
			missed++
		}
		return ok
	}
	line("work", "conns", "per second", "p50 ms", "p99 ms", "limit/s", "ratio", "target", "met")
	for _, f := range b.figures {
		limit, ratio := "-", "-"
		if f.LimitPerSecond > 0 {
			limit, ratio = fmt.Sprintf("%.0f", f.LimitPerSecond), fmt.Sprintf("%.2f", f.Ratio)
		}
		want, ok := f.verdict()
		line(f.Name, f.Connections, fmt.Sprintf("%.0f", f.PerSecond), milliseconds(f.P50), milliseconds(f.P99),
			limit, ratio, want, count(ok))
	}
	_ = table.Flush()
	fmt.Fprintln(out)
	table.Init(out, 0, 0, 2, ' ', 0)
	line("process", "figure", "value", "target", "met")
	for _, s := range b.starts {
		ms := float64(s.median.Microseconds()) / 1000
		line(s.service, "cold start to the first 200", fmt.Sprintf("%.0f ms", ms), fmt.Sprintf("%d ms", coldStartTarget),
			count(yes(ms <= coldStartTarget)))
	}
	for _, m := range b.memory {
		line(m.service, "resident memory, idle", fmt.Sprintf("%.0f MiB", m.idle), fmt.Sprintf("%d MiB", idleTarget),
			count(yes(m.idle <= idleTarget)))
		if m.loaded == 0 { // no row was measured
			continue
		}
		line(m.service, "resident memory, loaded", fmt.Sprintf("%.0f MiB", m.loaded), fmt.Sprintf("%d MiB", loadedTarget),
			count(yes(m.loaded <= loadedTarget)))
		if m.signingIn > 0 {
			line(m.service, "resident memory, hashing passwords", fmt.Sprintf("%.0f MiB", m.signingIn), "", "")
		}
	}
	for _, s := range b.streams {
		cost := s.after - s.before
		line("resourceapi", fmt.Sprintf("%d %s", s.count, streamsName), fmt.Sprintf("%.0f MiB more", cost), fmt.Sprintf("%d MiB", streamsTarget),
			count(yes(cost <= streamsTarget)))
	}
	_ = table.Flush()
	if missed > 0 {
		fmt.Fprintf(out, "\n%d targets were missed.\n", missed)
		return
	}
	fmt.Fprintf(out, "\nEvery target was met.\n")
}

// write saves the figures.
func (b *bench) write(path string) error {
	figures := []figure{}
	for _, f := range b.figures {
		f.PerSecond, f.LimitPerSecond = math.Round(f.PerSecond), math.Round(f.LimitPerSecond)
		f.P50, f.P99, f.Ratio = thousandths(f.P50), thousandths(f.P99), thousandths(f.Ratio)
		figures = append(figures, f)
	}
	raw, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644) //nolint:gosec // figures are no secret
}

func thousandths(x float64) float64 { return math.Round(x*1000) / 1000 }
