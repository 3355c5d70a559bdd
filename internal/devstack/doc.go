// Package devstack runs Larder on a developer's machine: its databases, and on them both services with a demo family.
//
//	larder-dev run       lock .dev ─> PostgreSQL, Redis ─> database, roles ─┐
//	                     build both binaries ───────────────────────────────┴─> migrate ─> seed ─> serve ─> demo.json
//	larder-dev test …    lock .dev/test ─> PostgreSQL, Redis ─> the command, with DATABASE_URL and REDIS_URL
//	larder-dev services  the same without a command; leaves the addresses in .dev/test/services.json
//
// Everything lies under one directory, `.dev` or LARDER_DEV_DIR, and survives from run to run; only one run at a time
// may use it, which a lock ensures. Stopping goes in the order that loses nothing: services, Redis, PostgreSQL.
package devstack
