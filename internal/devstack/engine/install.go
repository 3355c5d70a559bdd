package engine

import (
	"context"
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
	if program, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		say("Installing %s with apt-get; this takes a minute.", apt)
		environment := append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		install := append([]string{"install", "-q", "-y", "--no-install-recommends"}, strings.Fields(apt)...)
		for _, args := range [][]string{{"update", "-q"}, install} {
			if _, err := process.Run(ctx, process.Spec{Name: "apt-get " + args[0], Path: program, Args: args, Env: environment}); err != nil {
				return missing("%w", err)
			}
		}
		return nil
	}
	if program, err := exec.LookPath("brew"); err == nil && os.Geteuid() != 0 {
		say("Installing %s with Homebrew; this takes a minute.", brew)
		if _, err := process.Run(ctx, process.Spec{Name: "brew install", Path: program, Args: append([]string{"install"}, strings.Fields(brew)...)}); err != nil {
			return missing("%w", err)
		}
		return nil
	}
	return missing("neither apt-get as root nor Homebrew as a user")
}
