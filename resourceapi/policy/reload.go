package policy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	reloadEvery = 2 * time.Second
	maxFiles    = 64
	maxBytes    = 1 << 20
)

// Run follows the policy directory until ctx is done; without a directory it
// only waits. A set that is refused is logged and the one in force stays.
func (e *Engine) Run(ctx context.Context) {
	if e.dir == "" {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// reload takes the directory's policies into force if they changed and hold.
func (e *Engine) reload(ctx context.Context) {
	documents, digest, err := e.read()
	if err == nil && digest == e.digest {
		return
	}
	var set *Set
	if err == nil {
		e.digest = digest // a refused set is reported once, not at every look
		set, err = Compile(documents...)
	}
	if err != nil {
		e.reloads.WithLabelValues("refused").Inc()
		e.log.LogAttrs(ctx, slog.LevelError, "policies refused, the old ones stay in force", slog.String("error", err.Error()))
		return
	}
	e.set.Store(set)
	e.reloads.WithLabelValues("taken").Inc()
	e.log.LogAttrs(ctx, slog.LevelInfo, "policies taken into force", slog.Int("files", len(documents)))
}

// read returns what stands beside the guards, and a digest of it.
func (e *Engine) read() ([]Document, [32]byte, error) {
	if e.dir == "" {
		family, err := Embedded()
		return []Document{family}, [32]byte{}, err
	}
	return ReadDir(e.dir)
}

// ReadDir reads the .cedar files of a directory, in the order of their names:
// at least one, at most 64, together at most 1 MiB.
func ReadDir(dir string) ([]Document, [32]byte, error) {
	var digest [32]byte
	names, err := filepath.Glob(filepath.Join(dir, "*.cedar"))
	if err != nil {
		return nil, digest, err
	}
	if len(names) == 0 || len(names) > maxFiles {
		return nil, digest, fmt.Errorf("%s holds %d .cedar files; 1 to %d are read", dir, len(names), maxFiles)
	}
	var (
		documents []Document
		size      int
		sum       = sha256.New()
	)
	for _, name := range names {
		text, err := os.ReadFile(name) //nolint:gosec // the directory is the operator's own setting
		if err != nil {
			return nil, digest, err
		}
		if size += len(text); size > maxBytes {
			return nil, digest, fmt.Errorf("%s holds more than %d bytes of policies", dir, maxBytes)
		}
		_, _ = fmt.Fprintf(sum, "%q %d\n", name, len(text))
		_, _ = sum.Write(text)
		documents = append(documents, Document{Name: filepath.Base(name), Text: text})
	}
	return documents, [32]byte(sum.Sum(nil)), nil
}
