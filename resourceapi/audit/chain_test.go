package audit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	auditlog "larder/internal/audit"
	"larder/internal/id"
	"larder/internal/pgtest"
	"larder/resourceapi/tenant"
)

// kept is two families' logs, chained.
type kept struct {
	*Chain

	db            *pgtest.DB
	family, other id.ID
	told          *bytes.Buffer // the log outside
}

func keep(t *testing.T, events int) *kept {
	t.Helper()
	seals, err := NewSeals(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	k := &kept{db: pgtest.New(t), family: id.New(), other: id.New(), told: &bytes.Buffer{}}
	k.Chain = &Chain{
		DB: &tenant.DB{Pool: k.db.Grocery, Now: time.Now}, Seals: seals, Log: slog.New(slog.NewTextHandler(k.told, nil)),
	}
	for n := range events {
		for _, family := range []id.ID{k.family, k.other} {
			err := auditlog.Grocery().Insert(t.Context(), k.db.Owner, auditlog.Event{
				OccurredAt: time.Now(), Action: fmt.Sprintf("item.added%d", n), Result: auditlog.Success, FamilyID: family,
				Actor: auditlog.Actor{Kind: "user", ID: "ann"}, Target: fmt.Sprint("item ", n), Policies: []string{"role.member"},
				SourceIP: "192.0.2.1", Details: map[string]any{"n": n, "ä": []any{1.5, "x", nil}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	k.settle(t, events)
	return k
}

// settle chains until both families have that many entries: another test's open
// transaction may hold the settling up between the two.
func (k *kept) settle(t *testing.T, entries int) {
	t.Helper()
	for range 2400 {
		if _, err := k.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		settled := true
		for _, family := range []id.ID{k.family, k.other} {
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
		args := pgx.NamedArgs{"family": k.family, "other": k.other, "n": n, "new": id.New()}
		for _, sql := range append([]string{sql}, more...) {
			tag, err := tx.Exec(ctx, sql, args)
			if err != nil || tag.RowsAffected() == 0 {
				return fmt.Errorf("%s: %d rows, %w", sql, tag.RowsAffected(), err)
			}
		}
		return nil
	}
}

const (
	nth  = ` WHERE family_id = @family AND id = (SELECT event_id FROM grocery.audit_chain WHERE family_id = @family AND seq = @n)`
	tail = ` WHERE family_id = @family AND seq >= @n`
)

// rewrite changes an event and makes the rest of the chain agree with it.
func rewrite(ctx context.Context, tx pgx.Tx, k *kept, n int) error {
	if err := do(`UPDATE grocery.audit_events SET actor_id = 'eve'`+nth, `DELETE FROM grocery.audit_chain WHERE family_id = @family`)(ctx, tx, k, n); err != nil {
		return err
	}
	entries, _, err := unchained(ctx, tx, &position{family: id.ID{}.String(), event: id.ID{}.String()})
	if err != nil {
		return err
	}
	at := head{hash: root(k.family)}
	for i := range entries {
		if at.hash, err = entries[i].hash(at.hash); err != nil {
			return err
		}
		at.seq++
		if _, err := tx.Exec(ctx, `INSERT INTO grocery.audit_chain VALUES ($1, $2, $3, $4)`, k.family, at.seq, entries[i].ID, at.hash); err != nil {
			return err
		}
	}
	return nil
}

func tamperings() map[string]tampering {
	all := map[string]tampering{
		"an event is deleted":          do(`DELETE FROM grocery.audit_events` + nth),
		"with its link":                do(`DELETE FROM grocery.audit_events`+nth, `DELETE FROM grocery.audit_chain WHERE family_id = @family AND seq = @n`),
		"a link is deleted":            do(`DELETE FROM grocery.audit_chain WHERE family_id = @family AND seq = @n`),
		"a hash is changed":            do(`UPDATE grocery.audit_chain SET hash = sha256(hash) WHERE family_id = @family AND seq = @n`),
		"an event is given to another": do(`UPDATE grocery.audit_events SET family_id = @other` + nth),
		"an old event is put in":       do(`INSERT INTO grocery.audit_events (family_id, id, occurred_at, action, result, actor_kind, actor_id, tx) SELECT family_id, @new, occurred_at, action, result, actor_kind, 'eve', tx FROM grocery.audit_events` + nth),
		"the tail is cut off":          do(`DELETE FROM grocery.audit_events WHERE family_id = @family AND id IN (SELECT event_id FROM grocery.audit_chain`+tail+`)`, `DELETE FROM grocery.audit_chain`+tail),
		"the tail of the chain":        do(`DELETE FROM grocery.audit_chain` + tail),
		"a checkpoint is made up":      do(`UPDATE grocery.audit_checkpoints SET token = token || 'x' WHERE family_id = @family`),
		"a checkpoint of another":      do(`UPDATE grocery.audit_checkpoints c SET token = o.token FROM grocery.audit_checkpoints o WHERE c.family_id = @family AND o.family_id = @other`),
		"everything is rewritten":      rewrite,
		"two events swap their places": do(`UPDATE grocery.audit_events SET id = @new`+nth,
			`UPDATE grocery.audit_events e SET id = (SELECT event_id FROM grocery.audit_chain WHERE family_id = @family AND seq = @n) FROM grocery.audit_chain c WHERE c.family_id = @family AND c.seq = @n % 20 + 1 AND e.family_id = @family AND e.id = c.event_id`,
			`UPDATE grocery.audit_events e SET id = c.event_id FROM grocery.audit_chain c WHERE c.family_id = @family AND c.seq = @n % 20 + 1 AND e.family_id = @family AND e.id = @new`),
	}
	for column, value := range map[string]string{
		"action": `action || 'x'`, "result": `'denied'`, "actor_id": `'eve'`, "actor_kind": `'app'`, "client_id": `'x'`, "target": `NULL`,
		"reason": `'because'`, "policies": `'{}'`, "count": `count + 1`, "source_ip": `'192.0.2.2'`, "user_agent": `'x'`,
		"request_id": `'x'`, "details": `details || '{"n": 99}'`, "occurred_at": `occurred_at + interval '1 microsecond'`,
	} {
		all[column+" is changed"] = do(`UPDATE grocery.audit_events SET ` + column + ` = ` + value + nth)
	}
	return all
}

// security.md's promise: every edit, deletion, swap and cut is flagged.
func TestEveryTamperingIsFound(t *testing.T) {
	t.Parallel()
	const events = 20
	k := keep(t, events)
	for name, tamper := range tamperings() {
		for range 8 {
			n := 1 + rand.IntN(events)
			tx, err := k.db.Owner.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := tamper(t.Context(), tx, k, n); err != nil {
				_ = tx.Rollback(t.Context())
				t.Fatalf("%s: %v", name, err)
			}
			found, err := k.verify(t.Context(), tx, k.family, nil)
			if err != nil || found.Intact || len(found.Findings) == 0 || found.Checkpoint != "" {
				t.Errorf("%s at %d was not found: %v, %v", name, n, found, err)
			}
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if report, err := k.Verify(t.Context(), k.family); err != nil || !report.Intact {
		t.Errorf("untouched: %+v, %v", report, err)
	}
}

// Whoever cuts the checkpoints off too is found out by one that was kept elsewhere.
func TestACheckpointOutsideFindsATailCutOffWithAllItsTraces(t *testing.T) {
	t.Parallel()
	k := keep(t, 5)
	before, err := k.Verify(t.Context(), k.family)
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
	if err := tamperings()["the tail is cut off"](t.Context(), tx, k, 4); err != nil {
		t.Fatal(err)
	}
	if err := do(`DELETE FROM grocery.audit_checkpoints WHERE family_id = @family`)(t.Context(), tx, k, 0); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if blind, err := k.Verify(t.Context(), k.family); err != nil || !blind.Intact {
		t.Errorf("without a checkpoint: %+v, %v", blind, err)
	}
	if report, err := k.Verify(t.Context(), k.family, before.Checkpoint); err != nil || report.Intact || report.Findings[0].Fault != "truncated" {
		t.Errorf("with one: %+v, %v", report, err)
	}
	if _, err := k.Verify(t.Context(), k.family, before.Checkpoint+"x"); err == nil {
		t.Error("a checkpoint that nobody signed was taken")
	}
}

// The chain belongs to the service as the log does: to append, and nothing else.
func TestTheServiceMayNotChangeTheLogOrItsChain(t *testing.T) {
	t.Parallel()
	k := keep(t, 2)
	for _, sql := range []string{
		`UPDATE grocery.audit_events SET action = 'x'`, `DELETE FROM grocery.audit_events`, `TRUNCATE grocery.audit_events`,
		`UPDATE grocery.audit_chain SET hash = ''`, `DELETE FROM grocery.audit_chain`, `DELETE FROM grocery.audit_checkpoints`, `DELETE FROM grocery.audit_settled`,
	} {
		err := k.DB.Keeper(t.Context(), func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
		if err == nil {
			t.Errorf("the runtime role could %s", sql)
		}
	}
}
