// Package migrations holds the SQL that makes each service's schema, one
// numbered goose file per step, applied by internal/postgres under a lock.
//
// Steps follow expand, migrate, contract: a step never takes away what the
// release before it still reads or writes, so that two versions run side by
// side. Everything is owned by the migrating role; the services connect as
// members of larder_auth and larder_grocery, which own nothing.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed authserver/*.sql resourceapi/*.sql
var files embed.FS

// Authserver returns the steps of schema auth.
func Authserver() fs.FS { return sub("authserver") }

// ResourceAPI returns the steps of schema grocery.
func ResourceAPI() fs.FS { return sub("resourceapi") }

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return f
}
