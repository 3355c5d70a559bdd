package password

import (
	"encoding/gob"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/argon2"
)

// WorkerArgument is the one argument of a program that is to call Work and
// nothing else.
const WorkerArgument = "hash-passwords"

// restAfter is how long a worker is kept that has nothing to do.
const restAfter = 30 * time.Second

// task is what a worker is asked: it answers with the key.
type task struct {
	Params   Params
	Password []byte // normalised
	Salt     []byte
	Size     uint32
}

func (t *task) key() []byte {
	return argon2.IDKey(t.Password, t.Salt, t.Params.Time, t.Params.Memory, t.Params.Threads, t.Size)
}

// Work hashes what in asks for until it ends. It is a process of its own, which
// yields to all others and lives as long as the one that started it.
func Work(in io.Reader, out io.Writer) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // a group is told at once, and requests under way may still need us
	yield()
	// The memory of one hash serves the next: it is collected after each, and never given back before the end.
	debug.SetGCPercent(-1)
	asked, answer := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		var t task
		if err := asked.Decode(&t); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := answer.Encode(t.key()); err != nil {
			return err
		}
		clear(t.Password)
		runtime.GC()
	}
}

// Workers are processes that hash for this one, one password each at a time:
// started when they are needed, ended when they have long had nothing to do. A
// nil one has none, and hashes here.
type Workers struct {
	// Program is run with WorkerArgument, and has to call Work then.
	Program string

	mu     sync.Mutex
	idle   []*worker // the one that worked last is the last
	closed bool
}

// key has a worker do the task. Where none can be had, or one fails, the task is
// done here: nobody is kept out for want of a process.
func (w *Workers) key(t *task) []byte {
	if w == nil {
		return t.key()
	}
	one := w.take()
	if one == nil {
		var err error
		if one, err = hire(w.Program); err != nil {
			return t.key()
		}
	}
	key, err := one.do(t)
	if err != nil || len(key) != int(t.Size) {
		one.end()
		return t.key()
	}
	w.put(one)
	return key
}

// take returns a worker that rests, nil if none does.
func (w *Workers) take() *worker {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.idle) - 1
	if last < 0 {
		return nil
	}
	one := w.idle[last]
	w.idle = w.idle[:last]
	one.rest.Stop()
	return one
}

func (w *Workers) put(one *worker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		one.end()
		return
	}
	one.rest = time.AfterFunc(restAfter, func() { w.dismiss(one) })
	w.idle = append(w.idle, one)
}

// dismiss ends one, unless it was given work just now.
func (w *Workers) dismiss(one *worker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := slices.Index(w.idle, one); at >= 0 {
		w.idle = slices.Delete(w.idle, at, at+1)
		one.end()
	}
}

// Close ends the workers. Those that are at work end with it.
func (w *Workers) Close() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, one := range w.idle {
		one.rest.Stop()
		one.end()
	}
	w.idle = nil
}

type worker struct {
	process *exec.Cmd
	in      io.WriteCloser
	ask     *gob.Encoder
	answer  *gob.Decoder
	rest    *time.Timer
	pacer   pacer
}

func hire(program string) (*worker, error) {
	process := exec.Command(program, WorkerArgument) //nolint:noctx // ourselves; it outlives requests and ends with its input
	process.Env = []string{"GOMAXPROCS=1"}           // and none of our secrets
	process.Stderr, process.SysProcAttr = os.Stderr, apart()
	in, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	return &worker{process: process, in: in, ask: gob.NewEncoder(in), answer: gob.NewDecoder(out), pacer: pacer{share: 1}}, nil
}

func (w *worker) do(t *task) (key []byte, err error) {
	late := time.AfterFunc(maxWait, func() { _ = w.process.Process.Kill() })
	defer late.Stop()
	if err := w.ask.Encode(t); err != nil {
		return nil, err
	}
	answered := make(chan struct{})
	var pacing sync.WaitGroup
	pacing.Go(func() { w.pace(answered) })
	err = w.answer.Decode(&key)
	close(answered)
	pacing.Wait() // it may have to be let run again
	return key, err
}

// end is called by whoever took the worker, or holds the lock.
func (w *worker) end() {
	_ = w.in.Close()
	_ = w.process.Process.Kill()
	_ = w.process.Wait()
}
