package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"larder/internal/fault"
)

// MaxBytes is the longest password that is hashed. Longer ones are refused
// unread, and never cut.
const MaxBytes = 1024

const (
	saltSize  = 16
	keySize   = 32
	maxWait   = 10 * time.Second
	busyAfter = 2 * time.Second
	// What a stored hash may ask of us, should one ever come from elsewhere.
	maxMemory = 256 << 10 // KiB
	maxTime   = 16
)

// Params are the costs of Argon2id.
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// Recommended is 19 MiB, two passes, one thread: the OWASP minimum, which
// leaves the other cores to other requests.
func Recommended() Params { return Params{Memory: 19 << 10, Time: 2, Threads: 1} }

// Hasher hashes at a bounded rate. Make it with NewHasher.
type Hasher struct {
	Workers *Workers // nil to hash in this process

	params  Params
	permits chan struct{}
	queue   chan struct{}
	dummy   string
}

// NewHasher lets permits hashes run at once and queue more wait for them.
func NewHasher(params Params, permits, queue int) *Hasher {
	key := make([]byte, keySize)
	_, _ = rand.Read(key)
	return &Hasher{
		params:  params,
		permits: make(chan struct{}, permits),
		queue:   make(chan struct{}, permits+queue),
		// Its key came from no password, so that none fits it.
		dummy: encode(params, newSalt(), key),
	}
}

// Dummy is a hash that no password fits and that costs as much to check as a
// real one: what to check against for an account that is not there.
func (h *Hasher) Dummy() string { return h.dummy }

// Hash returns the PHC string of password. It fails with fault.Invalid when the
// password is over MaxBytes and with fault.Unavailable when too many wait.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxBytes {
		return "", fault.New(fault.Invalid, "The password is too long.")
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	salt := newSalt()
	return encode(h.params, salt, h.derive(h.params, password, salt, keySize)), nil
}

// Verify reports whether password fits the PHC string stored, and if so whether
// it is stale: made with other parameters than ours. before, if not nil, is
// asked once the hash may run; its error ends the attempt unhashed.
func (h *Hasher) Verify(ctx context.Context, password, stored string, before func(context.Context) error) (ok, stale bool, err error) {
	params, salt, want, err := decode(stored)
	if err != nil {
		return false, false, err
	}
	release, err := h.acquire(ctx)
	if err != nil {
		return false, false, err
	}
	defer release()
	if before != nil {
		if err := before(ctx); err != nil {
			return false, false, err
		}
	}
	if len(password) > MaxBytes {
		return false, false, nil
	}
	got := h.derive(params, password, salt, uint32(len(want))) //nolint:gosec // decode bounds it
	return subtle.ConstantTimeCompare(got, want) == 1, params != h.params, nil
}

// acquire takes a place in the queue and then a permit.
func (h *Hasher) acquire(ctx context.Context) (release func(), err error) {
	select {
	case h.queue <- struct{}{}:
	default:
		return nil, busy(nil)
	}
	wait := time.NewTimer(maxWait)
	defer wait.Stop()
	select {
	case h.permits <- struct{}{}:
		return func() { <-h.permits; <-h.queue }, nil
	case <-wait.C:
		err = busy(nil)
	case <-ctx.Done():
		err = busy(ctx.Err())
	}
	<-h.queue
	return nil, err
}

func busy(cause error) error {
	err := fault.Wrap(fault.Unavailable, "Many people are signing in right now. Please try again in a moment.", cause)
	err.RetryAfter = busyAfter
	return err
}

// derive normalises as RFC 8265 §4.2 does, so that a password typed on another
// keyboard is the same password.
func (h *Hasher) derive(p Params, password string, salt []byte, size uint32) []byte {
	return h.Workers.key(&task{Params: p, Password: norm.NFC.Bytes([]byte(password)), Salt: salt, Size: size})
}

func newSalt() []byte {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	return salt
}

func encode(p Params, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, p.Memory, p.Time, p.Threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

func decode(phc string) (p Params, salt, key []byte, err error) {
	malformed := errors.New("the stored password hash is malformed")
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, malformed
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); err != nil {
		return p, nil, nil, malformed
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	key, keyErr := base64.RawStdEncoding.DecodeString(parts[5])
	if errors.Join(saltErr, keyErr) != nil || len(salt) < 8 || len(key) < 16 || len(key) > 64 ||
		p.Memory > maxMemory || p.Time < 1 || p.Time > maxTime || p.Threads < 1 {
		return p, nil, nil, malformed
	}
	return p, salt, key, nil
}
