package process

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

const (
	tailLines = 25
	// maxLine bounds what one line without an end may hold in memory.
	maxLine = 16 << 10
)

// tail passes whole lines on and keeps the last of them.
type tail struct {
	mu      sync.Mutex
	next    io.Writer
	partial []byte
	lines   []string
}

func newTail(next io.Writer) *tail {
	if next == nil {
		next = io.Discard
	}
	return &tail{next: next}
}

// Write never fails: a full disk under the log file must not stop the child, whose pipe would fill up.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partial = append(t.partial, p...)
	for {
		end := bytes.IndexByte(t.partial, '\n')
		if end < 0 {
			break
		}
		t.keep(t.partial[:end])
		t.partial = t.partial[end+1:]
	}
	if len(t.partial) > maxLine {
		t.keep(t.partial)
		t.partial = nil
	}
	return len(p), nil
}

func (t *tail) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.partial) > 0 {
		t.keep(t.partial)
		t.partial = nil
	}
}

func (t *tail) keep(line []byte) {
	text := string(line)
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, text)
	_, _ = io.WriteString(t.next, text+"\n")
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
