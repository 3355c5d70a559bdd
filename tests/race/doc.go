// Package race lets many ask at once what may be given once: a code, a rotation of a refresh token, a new signing key.
// Two replicas of the authserver answer, so nothing that a single process remembers can decide.
package race
