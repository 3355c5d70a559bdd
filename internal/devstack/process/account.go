package process

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// Account is a user of this machine that children can run as.
type Account struct {
	Name     string
	UID, GID int
}

// Unprivileged returns the first of the named accounts that exists and is not root, or nil when we are not root
// ourselves: then there is nothing to give up.
func Unprivileged(names ...string) (*Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range names {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(found.Uid)
		gid, gidErr := strconv.Atoi(found.Gid)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &Account{Name: name, UID: uid, GID: gid}, nil
		}
	}
	return nil, fmt.Errorf("running as root, and none of the users %s exists to run the server instead", strings.Join(names, ", "))
}

// CanWrite reports whether the account can write in the directory; parents that it may not enter count. The kernel
// is asked, since permission bits alone say nothing of ACLs or mount options.
func (a *Account) CanWrite(ctx context.Context, dir string) bool {
	_, err := Run(ctx, Spec{Name: "test -w", Path: "/bin/sh", Args: []string{"-c", `test -w "$1" && test -x "$1"`, "sh", dir}, Dir: "/", As: a})
	return err == nil
}

// Own makes a directory that only the account can enter, or makes sure that an existing one is such.
func (a *Account) Own(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is in the way: not a directory", dir)
	}
	if a == nil {
		return os.Chmod(dir, 0o700)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || (owner.Uid != 0 && int(owner.Uid) != a.UID) {
		return fmt.Errorf("%s belongs to another user than %s", dir, a.Name)
	}
	if err := os.Lchown(dir, a.UID, a.GID); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

func (a *Account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
}
