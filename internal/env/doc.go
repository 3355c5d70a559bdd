// Package env reads a service's configuration out of environment variables, and
// reports every fault together instead of one at each start. No fault repeats a
// secret.
//
//	r := env.New(getenv)
//	cfg.Addr = r.Addr("SERVICE_ADDR", "localhost:9000")
//	cfg.DatabaseURL = r.Postgres("SERVICE_DATABASE_URL", true)
//	return cfg, r.Err()
package env
