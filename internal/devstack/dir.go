package devstack

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"larder/internal/devstack/engine"
)

// errBusy says that another run uses the directory.
var errBusy = errors.New("in use by another run")

// directory is a development directory, locked for this run.
type directory struct {
	path string
	lock *os.File
}

// openDirectory makes the directory if need be and locks it. The lock dies with the process, however that ends.
func openDirectory(path string) (*directory, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is %w", path, errBusy)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &directory{path: path, lock: lock}, nil
}

func (d *directory) close() { _ = d.lock.Close() }

func (d *directory) file(names ...string) string {
	return filepath.Join(append([]string{d.path}, names...)...)
}

// secrets is what this copy made up at its first run, kept in secrets.json.
type secrets struct {
	Postgres engine.Access `json:"postgres"`
	Redis    engine.Access `json:"redis"`
	// KeyEncryptionKey seals signing keys at rest: base64 of 32 bytes.
	KeyEncryptionKey string `json:"key_encryption_key"`
	// ResourceAPIClientSecret authenticates the resource API at the introspection endpoint.
	ResourceAPIClientSecret string `json:"resourceapi_client_secret"`
	AuthRolePassword        string `json:"auth_role_password"`
	GroceryRolePassword     string `json:"grocery_role_password"`
}

// loadSecrets reads secrets.json, makes up what is missing and saves it at once: a secret has to be safe before
// anything is locked with it.
func (d *directory) loadSecrets() (*secrets, error) {
	var s secrets
	raw, err := os.ReadFile(d.file("secrets.json"))
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w; remove %s to start afresh", d.file("secrets.json"), err, d.path)
	}
	for _, secret := range []*string{
		&s.Postgres.Password, &s.Redis.Password, &s.ResourceAPIClientSecret, &s.AuthRolePassword, &s.GroceryRolePassword,
	} {
		if *secret == "" {
			*secret = strings.ToLower(rand.Text())
		}
	}
	if s.KeyEncryptionKey == "" {
		key := make([]byte, 32)
		_, _ = rand.Read(key)
		s.KeyEncryptionKey = base64.StdEncoding.EncodeToString(key)
	}
	return &s, d.saveSecrets(&s)
}

func (d *directory) saveSecrets(s *secrets) error { return writeJSON(d.file("secrets.json"), s) }

// writeJSON replaces the file at once and whole, readable by its owner only.
func writeJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	half, err := os.CreateTemp(filepath.Dir(path), ".half-*") // CreateTemp gives mode 0600.
	if err != nil {
		return err
	}
	defer os.Remove(half.Name())
	if _, err := half.Write(append(raw, '\n')); err != nil {
		_ = half.Close()
		return err
	}
	if err := half.Close(); err != nil {
		return err
	}
	return os.Rename(half.Name(), path)
}
