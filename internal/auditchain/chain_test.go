package auditchain

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/pgtest"
)

// kept is a log, chained: two families' of the API's, or the authserver's, which
// has one chain.
type kept struct {
	*Chain

	db       *pgtest.DB
	insert   audit.Log
	families []id.ID       // the first is the one that is tampered with
	told     *bytes.Buffer // the log outside
}

func keep(t *testing.T, tables Tables, events int) *kept {
	t.Helper()
	seals, err := NewSeals("test", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	k := &kept{db: pgtest.New(t), told: &bytes.Buffer{}}
	pool, role := k.db.Grocery, `SELECT set_config('app.standing', 'keeper', true)`
	k.insert, k.families = audit.Grocery(), []id.ID{id.New(), id.New()}
	if tables == Auth() {
		pool, role = k.db.Auth, `SELECT`
		k.insert, k.families = audit.Auth(), []id.ID{Nobody()}
	}
	k.Chain = &Chain{Tables: tables, Begin: beginner(pool, role), Seals: seals, Now: time.Now, Log: slog.New(slog.NewTextHandler(k.told, nil))}
	k.write(t, events, time.Now())
	k.settle(t, events)
	return k
}

func beginner(pool *pgxpool.Pool, role string) func(context.Context, func(pgx.Tx) error) error {
	return func(ctx context.Context, f func(pgx.Tx) error) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, role); err != nil {
				return err
			}
			return f(tx)
		})
	}
}

// write writes events for each family.
func (k *kept) write(t *testing.T, events int, at time.Time) {
	t.Helper()
	for n := range events {
		for _, family := range k.families {
			err := k.insert.Insert(t.Context(), k.db.Owner, audit.Event{
				OccurredAt: at, Action: fmt.Sprintf("item.added%d", n), Result: audit.Success, FamilyID: family,
				Actor: audit.Actor{Kind: "user", ID: "ann"}, Target: fmt.Sprint("item ", n), Policies: []string{"role.member"},
				SourceIP: "192.0.2.1", Details: map[string]any{"n": n, "ä": []any{1.5, "x", nil}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// settle chains until each family has that many entries: another test's open
// transaction may hold the settling up between the two.
func (k *kept) settle(t *testing.T, entries int) {
	t.Helper()
	for range 2400 {
		if _, err := k.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		settled := true
		for _, family := range k.families {
			report, err := k.Verify(t.Context(), family)
			if err != nil || !report.Intact {
				t.Fatalf("%+v, %v", report, err)
			}
			settled = settled && report.Entries == entries && report.Unsettled == 0
		}
		if settled {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the events were not chained")
}

// tampering is what somebody with all rights in the database could do.
type tampering func(ctx context.Context, tx pgx.Tx, k *kept, n int) error

func do(sql string, more ...string) tampering {
	return func(ctx context.Context, tx pgx.Tx, k *kept, n int) error {
		args := pgx.NamedArgs{"family": k.families[0], "other": k.families[len(k.families)-1], "n": n, "new": id.New()}
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil { // what keeps the service from it does not keep the owner
			return err
		}
		for _, sql := range append([]string{sql}, more...) {
			tag, err := tx.Exec(ctx, k.Tables.sql(sql), args)
			if err != nil || tag.RowsAffected() == 0 {
				return fmt.Errorf("%s: %d rows, %w", sql, tag.RowsAffected(), err)
			}
		}
		return nil
	}
}

const (
	nth  = ` WHERE family_id = @family AND id = (SELECT event_id FROM {schema}.audit_chain WHERE family_id = @family AND seq = @n)`
	tail = ` WHERE family_id = @family AND seq >= @n`
)

// rewrite changes an event and makes the rest of the chain agree with it.
func rewrite(ctx context.Context, tx pgx.Tx, k *kept, n int) error {
	if err := do(`UPDATE {events} SET actor_id = 'eve'`+nth, `DELETE FROM {schema}.audit_chain WHERE family_id = @family`)(ctx, tx, k, n); err != nil {
		return err
	}
	entries, _, err := k.unchained(ctx, tx, &position{family: id.ID{}.String(), event: id.ID{}.String()})
	if err != nil {
		return err
	}
	at := Place{Hash: root(k.families[0])}
	for i := range entries {
		if at.Hash, err = entries[i].hash(at.Hash); err != nil {
			return err
		}
		at.Seq++
		if _, err := tx.Exec(ctx, k.Tables.sql(`INSERT INTO {schema}.audit_chain VALUES ($1, $2, $3, $4)`), k.families[0], at.Seq, entries[i].ID, at.Hash); err != nil {
			return err
		}
	}
	return nil
}

func tamperings(tables Tables) map[string]tampering {
	all := map[string]tampering{
		"an event is deleted":     do(`DELETE FROM {events}` + nth),
		"with its link":           do(`DELETE FROM {events}`+nth, `DELETE FROM {schema}.audit_chain WHERE family_id = @family AND seq = @n`),
		"a link is deleted":       do(`DELETE FROM {schema}.audit_chain WHERE family_id = @family AND seq = @n`),
		"a hash is changed":       do(`UPDATE {schema}.audit_chain SET hash = sha256(hash) WHERE family_id = @family AND seq = @n`),
		"the tail is cut off":     do(`DELETE FROM {events} WHERE family_id = @family AND id IN (SELECT event_id FROM {schema}.audit_chain`+tail+`)`, `DELETE FROM {schema}.audit_chain`+tail),
		"the tail of the chain":   do(`DELETE FROM {schema}.audit_chain` + tail),
		"a checkpoint is made up": do(`UPDATE {schema}.audit_checkpoints SET token = token || 'x' WHERE family_id = @family`),
		"everything is rewritten": rewrite,
		"two events swap their places": do(`UPDATE {events} SET id = @new`+nth,
			`UPDATE {events} e SET id = (SELECT event_id FROM {schema}.audit_chain WHERE family_id = @family AND seq = @n) FROM {schema}.audit_chain c WHERE c.family_id = @family AND c.seq = @n % 20 + 1 AND e.family_id = @family AND e.id = c.event_id`,
			`UPDATE {events} e SET id = c.event_id FROM {schema}.audit_chain c WHERE c.family_id = @family AND c.seq = @n % 20 + 1 AND e.family_id = @family AND e.id = @new`),
	}
	if tables == Grocery() {
		all["an event is given to another"] = do(`UPDATE {events} SET family_id = @other` + nth)
		all["a checkpoint of another"] = do(`UPDATE {schema}.audit_checkpoints c SET token = o.token FROM {schema}.audit_checkpoints o WHERE c.family_id = @family AND o.family_id = @other`)
		all["an old event is put in"] = do(`INSERT INTO {events} (family_id, id, occurred_at, action, result, actor_kind, actor_id, tx) SELECT family_id, @new, occurred_at, action, result, actor_kind, 'eve', tx FROM {events}` + nth)
	} else {
		// Behind the last of the only chain it would be one more event.
		all["an old event is put in"] = do(`INSERT INTO auth.audit_events (id, occurred_at, action, result, actor_kind, actor_id, tx) SELECT @new, occurred_at, action, result, actor_kind, 'eve', tx FROM {events}` +
			strings.Replace(nth, "@n", "(@n - 1) % 19 + 1", 1))
	}
	for column, value := range map[string]string{
		"action": `action || 'x'`, "result": `'denied'`, "actor_id": `'eve'`, "actor_kind": `'app'`, "client_id": `'x'`, "target": `NULL`,
		"reason": `'because'`, "policies": `'{}'`, "count": `count + 1`, "source_ip": `'192.0.2.2'`, "user_agent": `'x'`,
		"request_id": `'x'`, "details": `details || '{"n": 99}'`, "occurred_at": `occurred_at + interval '1 microsecond'`,
	} {
		all[column+" is changed"] = do(`UPDATE {events} SET ` + column + ` = ` + value + nth)
	}
	return all
}

// Every edit, deletion, swap and cut is flagged.
func TestEveryTamperingIsFound(t *testing.T) {
	t.Parallel()
	for _, tables := range []Tables{Grocery(), Auth()} {
		const events = 20
		k := keep(t, tables, events)
		for name, tamper := range tamperings(tables) {
			for range 5 {
				k.tamper(t, name, tamper, 1+rand.IntN(events))
			}
		}
		if report, err := k.Verify(t.Context(), k.families[0]); err != nil || !report.Intact {
			t.Errorf("untouched: %+v, %v", report, err)
		}
	}
}

// tamper expects that a tampering is found, and takes it back.
func (k *kept) tamper(t *testing.T, name string, tamper tampering, n int) {
	t.Helper()
	tx, err := k.db.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if err := tamper(t.Context(), tx, k, n); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	found, err := k.verify(t.Context(), tx, k.families[0], nil)
	if err != nil || found.Intact || len(found.Findings) == 0 || found.Checkpoint != "" {
		t.Errorf("%s: %s at %d was not found: %v, %v", k.Tables.schema, name, n, found, err)
	}
}

// Whoever cuts the checkpoints off too is found out by one that was kept elsewhere.
func TestACheckpointOutsideFindsATailCutOffWithAllItsTraces(t *testing.T) {
	t.Parallel()
	k := keep(t, Grocery(), 5)
	before, err := k.Verify(t.Context(), k.families[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(k.told.Bytes(), []byte("audit checkpoint")) {
		t.Errorf("the log outside heard of no checkpoint: %s", k.told)
	}
	tx, err := k.db.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := tamperings(Grocery())["the tail is cut off"](t.Context(), tx, k, 4); err != nil {
		t.Fatal(err)
	}
	if err := do(`DELETE FROM {schema}.audit_checkpoints WHERE family_id = @family`)(t.Context(), tx, k, 0); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if blind, err := k.Verify(t.Context(), k.families[0]); err != nil || !blind.Intact {
		t.Errorf("without a checkpoint: %+v, %v", blind, err)
	}
	if report, err := k.Verify(t.Context(), k.families[0], before.Checkpoint); err != nil || report.Intact || report.Findings[0].Fault != "truncated" {
		t.Errorf("with one: %+v, %v", report, err)
	}
	if _, err := k.Verify(t.Context(), k.families[0], before.Checkpoint+"x"); err == nil {
		t.Error("a checkpoint that nobody signed was taken")
	}
}

// The chain belongs to the service as the log does: to append, and of late days
// nothing else.
func TestTheServiceMayNotChangeTheLogOrItsChain(t *testing.T) {
	t.Parallel()
	for _, tables := range []Tables{Grocery(), Auth()} {
		k := keep(t, tables, 2)
		for _, sql := range []string{
			`UPDATE {events} SET action = 'x'`, `DELETE FROM {events}`, `TRUNCATE {schema}.audit_events`, `DELETE FROM {schema}.audit_events`,
			`UPDATE {schema}.audit_chain SET hash = ''`, `DELETE FROM {schema}.audit_chain`, `DELETE FROM {schema}.audit_checkpoints`,
			`DELETE FROM {schema}.audit_settled`, `DELETE FROM {schema}.audit_bases`,
		} {
			err := k.Begin(t.Context(), func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), tables.sql(sql))
				return err
			})
			if err == nil {
				t.Errorf("the runtime role could %s", tables.sql(sql))
			}
		}
	}
}

// What is older than it is kept goes, in batches, and the rest can still be
// verified; that more is gone than the service forgot is found.
func TestOldEventsAreForgottenAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, tables := range []Tables{Grocery(), Auth()} {
		k := keep(t, tables, 0)
		long := time.Now().Add(-500 * 24 * time.Hour)
		k.Now = func() time.Time { return long }
		const old = forgetLimit + 5
		k.fill(t, old, long)
		k.settle(t, old)
		before, err := k.Verify(t.Context(), k.families[0])
		if err != nil {
			t.Fatal(err)
		}
		k.Now, k.Kept = time.Now, 400*24*time.Hour
		want := int64(old * len(k.families))
		if n, more, err := k.Forget(t.Context()); n != want || more || err != nil {
			t.Fatalf("%d forgotten, %v, %v; want %d", n, more, err, want)
		}
		k.write(t, 3, time.Now()) // the chain goes on where there is no link any more
		k.settle(t, 3)
		report, err := k.Verify(t.Context(), k.families[0], before.Checkpoint)
		if err != nil || !report.Intact || report.Entries != 3 || report.Forgotten != old {
			t.Errorf("%+v, %v", report, err)
		}
		for name, sql := range map[string]string{
			"more was cut off":          `DELETE FROM {schema}.audit_chain WHERE family_id = @family AND seq = (SELECT min(seq) FROM {schema}.audit_chain WHERE family_id = @family)`,
			"the base is gone":          `DELETE FROM {schema}.audit_bases WHERE family_id = @family`,
			"the base was moved":        `UPDATE {schema}.audit_bases SET seq = seq + 1 WHERE family_id = @family`,
			"a checkpoint for the base": `UPDATE {schema}.audit_bases b SET seq = c.seq, token = c.token FROM {schema}.audit_checkpoints c WHERE b.family_id = @family AND c.family_id = @family`,
		} {
			k.tamper(t, name, do(sql), 0)
		}

		// Of the last thirty days nothing goes, whatever the service was told.
		yesterday := time.Now().Add(-24 * time.Hour)
		k.Now = func() time.Time { return yesterday }
		k.write(t, 1, yesterday)
		k.settle(t, 4)
		k.Now, k.Kept = time.Now, time.Hour
		if n, _, err := k.Forget(t.Context()); n != 0 || err == nil {
			t.Errorf("%d of yesterday were forgotten, %v", n, err)
		}
	}
}

// steps are the statements of a batch, each to be run by itself.
type steps []*pgx.Batch

func (s *steps) Queue(sql string, args ...any) *pgx.QueuedQuery {
	b := &pgx.Batch{}
	*s = append(*s, b)
	return b.Queue(sql, args...)
}

// Each statement of a verification sees the log as it is by then: what is
// forgotten between two of them is not missing.
func TestWhatIsForgottenMeanwhileIsNotMissing(t *testing.T) {
	t.Parallel()
	for _, tables := range []Tables{Grocery(), Auth()} {
		k := keep(t, tables, 0)
		family := k.families[0]
		left := 0             // of the day behind the one that was forgotten last
		var kept []Checkpoint // elsewhere, of what is forgotten
		for forgetBehind := 1; ; forgetBehind++ {
			const day = 24 * time.Hour
			over := time.Now().Truncate(day).Add(day/2 - 500*day + time.Duration(forgetBehind)*2*day)
			for n, at := range []time.Time{over, over.Add(day)} {
				k.Now = func() time.Time { return at }
				k.fill(t, 2, at)
				k.settle(t, left+2*(n+1))
			}
			k.Kept = time.Since(over.Add(day))
			report, err := k.Verify(t.Context(), family)
			if err != nil {
				t.Fatal(err)
			}
			checkpoint, err := k.Open(report.Checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			k.Now = time.Now
			var each steps
			part := k.Part(&each, family, nil, append(kept, checkpoint))
			for i, b := range each {
				if i == forgetBehind {
					if n, _, err := k.Forget(t.Context()); n != int64((left+2)*len(k.families)) || err != nil {
						t.Fatalf("%d were forgotten, %v", n, err)
					}
				}
				if err := k.Begin(t.Context(), func(tx pgx.Tx) error { return tx.SendBatch(t.Context(), b).Close() }); err != nil {
					t.Fatal(err)
				}
			}
			if !part.Intact {
				t.Errorf("%s, forgotten behind statement %d of %d: %+v", tables.schema, forgetBehind, len(each), part.Findings)
			}
			if forgetBehind == len(each)-1 {
				break
			}
			left, kept = 2, []Checkpoint{checkpoint}
		}
	}
}

// fill writes many events at once.
func (k *kept) fill(t *testing.T, events int, at time.Time) {
	t.Helper()
	for _, family := range k.families {
		sql, args := `INSERT INTO grocery.audit_events (family_id, id, occurred_at, action, result, actor_kind, actor_id)
			SELECT $3, gen_random_uuid(), $2::timestamptz, 'item.added', 'success', 'user', 'ann' FROM generate_series(1, $1)`, []any{events, at, family}
		if k.Tables == Auth() {
			sql, args = `INSERT INTO auth.audit_events (id, occurred_at, action, result, actor_kind, actor_id)
			SELECT gen_random_uuid(), $2::timestamptz, 'item.added', 'success', 'user', 'ann' FROM generate_series(1, $1)`, args[:2]
		}
		if _, err := k.db.Owner.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
}
