package engine

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"

	"larder/internal/devstack/process"
)

func (o Options) installPostgres(ctx context.Context, access Access) (*server, error) {
	if err := Install(ctx, o.Say, "postgresql", "postgresql@17"); err != nil {
		return nil, err
	}
	return o.installedPostgres(ctx, access)
}

func (o Options) installRedis(ctx context.Context, access Access) (*server, error) {
	if err := Install(ctx, o.Say, "redis-server", "redis"); err != nil {
		return nil, err
	}
	return o.installedRedis(ctx, access)
}

// Install gets packages, named with spaces between them, by apt-get, which takes root, or by Homebrew, which refuses root.
func Install(ctx context.Context, say func(format string, args ...any), apt, brew string) error {
	return install(ctx, say, os.Geteuid() == 0, apt, brew)
}

func install(ctx context.Context, say func(format string, args ...any), root bool, apt, brew string) error {
	if program, err := exec.LookPath("apt-get"); err == nil && root {
		say("Installing %s with apt-get; this takes a minute.", apt)
		return aptInstall(ctx, program, strings.Fields(apt))
	}
	if program, err := exec.LookPath("brew"); err == nil && !root {
		say("Installing %s with Homebrew; this takes a minute.", brew)
		if _, err := process.Run(ctx, process.Spec{Name: "brew install", Path: program, Args: append([]string{"install"}, strings.Fields(brew)...)}); err != nil {
			return missing("%w", err)
		}
		return nil
	}
	return missing("neither apt-get as root nor Homebrew as a user")
}

// aptInstall waits for whoever else installs, such as a second copy of ours or a machine's first updates. Lists of packages
// that cannot all be fetched are no reason to give up: those at hand may do.
func aptInstall(ctx context.Context, program string, packages []string) error {
	var faults []error
	for _, args := range [][]string{{"update", "-q"}, append([]string{"install", "-q", "-y", "--no-install-recommends"}, packages...)} {
		_, err := process.Run(ctx, process.Spec{
			Name: "apt-get " + args[0], Path: program, Args: append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...),
			Env: append(os.Environ(), "DEBIAN_FRONTEND=noninteractive"),
		})
		if ctx.Err() != nil {
			return err
		}
		faults = append(faults, err)
	}
	if faults[1] == nil {
		return nil
	}
	return missing("%w", errors.Join(faults...))
}
