package tlsfile

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const lookEvery = time.Second

// watched is what some files say, kept up to date by whoever asks.
type watched[T any] struct {
	paths []string
	parse func(contents [][]byte) (T, error)
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	read    [][]byte // what value was made of
	refused string   // the last complaint, so that it is not repeated each second
	value   T
}

// open reads the files for the first time.
func (w *watched[T]) open() error {
	contents, err := w.contents()
	if err != nil {
		return err
	}
	if w.value, err = w.parse(contents); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(w.paths, " and "), err)
	}
	w.read, w.looked = contents, w.now()
	return nil
}

func (w *watched[T]) contents() ([][]byte, error) {
	var all [][]byte
	for _, path := range w.paths {
		content, err := os.ReadFile(path) //nolint:gosec // the operator names it
		if err != nil {
			return nil, err
		}
		all = append(all, content)
	}
	return all, nil
}

// get returns what the files say, or said when they last made sense.
func (w *watched[T]) get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if since := now.Sub(w.looked); 0 <= since && since < lookEvery { // a clock may be set back
		return w.value
	}
	w.looked = now
	contents, err := w.contents()
	if err == nil {
		if slices.EqualFunc(contents, w.read, bytes.Equal) {
			return w.value
		}
		var value T
		if value, err = w.parse(contents); err == nil {
			w.value, w.read, w.refused = value, contents, ""
			w.log.Info("TLS files read again", slog.Any("files", w.paths))
			return w.value
		}
	}
	if complaint := err.Error(); complaint != w.refused {
		w.refused = complaint
		w.log.Warn("changed TLS files are not used", slog.Any("files", w.paths), slog.String("error", complaint))
	}
	return w.value
}
