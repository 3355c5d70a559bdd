package telemetry_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/internal/telemetry"
)

// counting remembers what was written and how often.
type counting struct {
	mu     sync.Mutex
	text   bytes.Buffer
	writes int
}

func (c *counting) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	return c.text.Write(p)
}

func (c *counting) state() (string, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String(), c.writes
}

func TestManyLinesAreOneWriteAndNoneIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &counting{}
		b := telemetry.NewBuffer(out)
		for i := range 100 {
			fmt.Fprintf(b, "line %d\n", i)
		}
		time.Sleep(150 * time.Millisecond)
		if text, writes := out.state(); writes != 1 || strings.Count(text, "\n") != 100 {
			t.Errorf("%d lines in %d writes, want 100 in one", strings.Count(text, "\n"), writes)
		}
		fmt.Fprintln(b, "the last")
		b.Close()
		fmt.Fprintln(b, "after the end")
		if text, _ := out.state(); !strings.HasSuffix(text, "the last\nafter the end\n") {
			t.Errorf("the log ends with %q", text[max(0, len(text)-40):])
		}
	})
}

func TestLinesOfManyWritersStayWholeAndInOrder(t *testing.T) {
	t.Parallel()
	out := &counting{}
	b := telemetry.NewBuffer(out)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				fmt.Fprintf(b, "%d %d %s\n", w, i, strings.Repeat("x", 50))
			}
		})
	}
	wg.Wait()
	b.Close()
	text, _ := out.state()
	next := map[int]int{}
	for line := range strings.Lines(text) {
		var w, i int
		if _, err := fmt.Sscanf(line, "%d %d", &w, &i); err != nil || i != next[w] {
			t.Fatalf("line %q of writer %d, want number %d", line, w, next[w])
		}
		next[w]++
	}
	if len(next) != 8 || next[0] != 2000 {
		t.Fatalf("lines were lost: %v", next)
	}
}
