package engine

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/alicebob/miniredis/v2"
	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"larder/internal/devstack/process"
)

// embeddedPostgres uses the library to fetch the programs, and runs them as it would any others: the library would
// neither drop root nor keep the server from outliving us.
func (o Options) embeddedPostgres(ctx context.Context, access Access) (*server, error) {
	as, err := process.Unprivileged("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	programs, err := o.home(ctx, "embedded-postgres", as)
	if err != nil {
		return nil, err
	}
	if len(postgresInstallations(ctx, []string{filepath.Join(programs, "bin")})) == 0 {
		place, err := os.MkdirTemp("", "larder-embedded-postgres-")
		if err != nil {
			return nil, err
		}
		o.Say("Fetching PostgreSQL by embedded-postgres; this takes a minute.")
		trial := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
			Port(uint32(access.Port)).BinariesPath(programs).CachePath(filepath.Join(place, "cache")).
			RuntimePath(filepath.Join(place, "run")).DataPath(filepath.Join(place, "data")).Logger(io.Discard))
		// As root its start ends in an error, for PostgreSQL does not run as root; what counts is what was fetched.
		fetching := trial.Start()
		if fetching == nil {
			fetching = trial.Stop()
		}
		if err := os.RemoveAll(place); err != nil {
			return nil, err
		}
		if len(postgresInstallations(ctx, []string{filepath.Join(programs, "bin")})) == 0 {
			return nil, missing("%w", fetching)
		}
	}
	found := postgresInstallations(ctx, []string{filepath.Join(programs, "bin")})
	return o.runPostgres(ctx, found, access, "embedded-postgres, for development only")
}

// miniredis is an imitation inside this process. It keeps nothing over a restart and lacks some commands.
func (o Options) miniredis(_ context.Context, access Access) (*server, error) {
	imitation := miniredis.NewMiniRedis()
	imitation.RequireAuth(access.Password)
	if err := imitation.StartAddr("127.0.0.1:" + strconv.Itoa(access.Port)); err != nil {
		return nil, err
	}
	return &server{url: redisURL(access), from: "miniredis, an imitation for development only that forgets everything at the end", close: imitation.Close}, nil
}
