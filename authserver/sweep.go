package main

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/id"
	"larder/internal/sweep"
)

// accountsAtOnce is how many service accounts one transaction deletes.
const accountsAtOnce = 500

// Each deletes so many rows at most.
const (
	// A grant is kept a day beyond its end: whoever presents its code or token
	// again is still recognised, and an operator can still look.
	deleteGrants = `
DELETE FROM auth.grants WHERE id IN (
  SELECT id FROM auth.grants WHERE expires_at < now() - interval '1 day' ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`

	deleteKeys = `
DELETE FROM auth.api_keys WHERE id IN (
  SELECT id FROM auth.api_keys
   WHERE least(expires_at, revoked_at) < now() - interval '90 days' ORDER BY least(expires_at, revoked_at) LIMIT $1 FOR UPDATE SKIP LOCKED)`

	// One whose keys are gone, or that never had any.
	lockServiceAccounts = `
SELECT s.id FROM auth.service_accounts s
 WHERE s.created_at < now() - interval '90 days' AND NOT EXISTS (SELECT FROM auth.api_keys k WHERE k.service_account_id = s.id)
 LIMIT $1 FOR UPDATE OF s SKIP LOCKED`

	// The lock keeps keys out from then on; one that was made before it spares its account.
	deleteServiceAccounts = `
DELETE FROM auth.service_accounts s WHERE id = ANY($1) AND NOT EXISTS (SELECT FROM auth.api_keys k WHERE k.service_account_id = s.id)`

	// A client that registered itself and that nobody has used for 90 days ends,
	// and is deleted a day after, when every replica has noticed. One that acts
	// for itself leaves no trace of its use here, and stays.
	endUnusedClients = `
UPDATE auth.clients SET disabled_at = now(), version = version + 1, updated_at = clock_timestamp() WHERE id IN (
  SELECT c.id FROM auth.clients c JOIN auth.client_registrations r ON r.client_id = c.id
   WHERE c.disabled_at IS NULL AND r.created_at < now() - interval '90 days'
     AND NOT coalesce(c.metadata->'grant_types' ? 'client_credentials', false)
     AND NOT EXISTS (SELECT 1 FROM auth.grants g WHERE g.client_id = c.id)
     AND NOT EXISTS (SELECT 1 FROM auth.consents s WHERE s.client_id = c.id AND s.granted_at > now() - interval '90 days')
   LIMIT $1 FOR UPDATE OF c SKIP LOCKED)`

	deleteClients = `
DELETE FROM auth.clients WHERE id IN (
  SELECT c.id FROM auth.clients c JOIN auth.client_registrations r ON r.client_id = c.id
   WHERE c.disabled_at < now() - interval '1 day' LIMIT $1 FOR UPDATE OF c SKIP LOCKED)`

	deleteInitial = `
DELETE FROM auth.registration_tokens WHERE hash IN (
  SELECT hash FROM auth.registration_tokens WHERE expires_at < now() LIMIT $1 FOR UPDATE SKIP LOCKED)`

	deleteLinks = `
DELETE FROM auth.links WHERE id IN (
  SELECT id FROM auth.links WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`

	deleteParticipants = `
DELETE FROM auth.session_clients WHERE (sid, client_id) IN (
  SELECT sid, client_id FROM auth.session_clients WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`

	// A token of a provider is taken for a week after it was made.
	deleteEvents = `
DELETE FROM auth.federation_events WHERE (issuer, jti) IN (
  SELECT issuer, jti FROM auth.federation_events WHERE received_at < now() - interval '15 days' LIMIT $1 FOR UPDATE SKIP LOCKED)`

	deleteCodes = `
DELETE FROM auth.one_time_codes WHERE id IN (
  SELECT id FROM auth.one_time_codes WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`

	// A client that is late learns for ten minutes that it is.
	deleteAsked = `
DELETE FROM auth.ciba_requests WHERE id IN (
  SELECT id FROM auth.ciba_requests WHERE expires_at < now() - interval '10 minutes' ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`

	deleteLimits = `
DELETE FROM auth.limits WHERE bucket IN (
  SELECT bucket FROM auth.limits WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`

	// A browser is recognised for 180 days (risk.RecognisedFor).
	deleteDevices = `
DELETE FROM auth.recognised_devices WHERE (user_id, device_hash) IN (
  SELECT user_id, device_hash FROM auth.recognised_devices WHERE last_at < now() - interval '180 days' ORDER BY last_at LIMIT $1 FOR UPDATE SKIP LOCKED)`

	deleteTrusted = `
DELETE FROM auth.trusted_devices WHERE id IN (
  SELECT id FROM auth.trusted_devices WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`

	// An erasure is remembered for longer than a backup is kept.
	deleteErasures = `
DELETE FROM auth.erasures WHERE user_id IN (
  SELECT user_id FROM auth.erasures WHERE erased_at < now() - interval '400 days' AND waiting = '{}' ORDER BY erased_at LIMIT $1 FOR UPDATE SKIP LOCKED)`
)

// newSweeper deletes what is over: rows by the statement of their table, accounts
// whole, with their sessions and a last mail, and audit events with their chain.
func newSweeper(c *core, log *slog.Logger, reg prometheus.Registerer) *sweep.Sweeper {
	tasks := []sweep.Task{
		{Table: "users", Do: func(ctx context.Context) (int64, bool, error) {
			n, err := c.accounts.DeleteDue(ctx)
			return int64(n), false, err
		}},
		{Table: "audit_events", Do: c.chain.Forget},
		{Table: "service_accounts", Do: func(ctx context.Context) (int64, bool, error) { return sweepServiceAccounts(ctx, c.db) }},
	}
	for _, one := range sweeps() {
		tasks = append(tasks, sweep.Statement(c.db, one.table, one.statement))
	}
	return sweep.New(log, reg, tasks...)
}

// sweepServiceAccounts asks for keys twice: a statement that locks does not see
// what was committed since it began.
func sweepServiceAccounts(ctx context.Context, db *pgxpool.Pool) (rows int64, more bool, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		found, err := tx.Query(ctx, lockServiceAccounts, accountsAtOnce)
		if err != nil {
			return err
		}
		idle, err := pgx.CollectRows(found, pgx.RowTo[id.ID])
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, deleteServiceAccounts, idle)
		rows, more = tag.RowsAffected(), len(idle) == accountsAtOnce
		return err
	})
	return rows, more && err == nil, err
}

// expiry is a table, and the statement that deletes of its rows what is over.
type expiry struct{ table, statement string }

func sweeps() []expiry {
	return []expiry{
		{"grants", deleteGrants},
		{"api_keys", deleteKeys},
		{"links", deleteLinks},
		{"unused_clients", endUnusedClients}, // ended, not deleted yet
		{"clients", deleteClients},
		{"registration_tokens", deleteInitial},
		{"trusted_devices", deleteTrusted},
		{"limits", deleteLimits},
		{"recognised_devices", deleteDevices},
		{"one_time_codes", deleteCodes},
		{"session_clients", deleteParticipants},
		{"federation_events", deleteEvents},
		{"erasures", deleteErasures},
		{"ciba_requests", deleteAsked},
	}
}
