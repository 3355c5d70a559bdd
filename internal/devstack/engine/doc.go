// Package engine brings up PostgreSQL and Redis for development and tests, by the first way that works:
//
//	DATABASE_URL / REDIS_URL set ──> theirs, untouched
//	 │ no
//	programs installed here      ──> run from Options.Dir, as an unprivileged user when we are root
//	 │ none
//	apt-get (root) or Homebrew   ──> install, then as above
//	 │ cannot
//	a Docker engine that answers ──> a container each, data under Options.Dir
//	 │ none
//	embedded-postgres, miniredis ──> last resort, for development only
//
// It says which way was taken, or all that was tried. Data lives in Dir/postgres and Dir/redis and survives; a
// cluster is made beside its place and renamed into it, so that a killed run leaves no half of one.
package engine
