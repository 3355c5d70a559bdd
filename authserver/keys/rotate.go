package keys

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/sealed"
)

// due reports whether Maintain would find something to do.
func (k *Keys) due(s *state) bool {
	if s.over {
		return true
	}
	now := k.Now()
	for _, alg := range algorithms {
		group := s.byAlg[alg]
		if len(group) == 0 || signingDue(&group[0].activateAt, now) {
			return true
		}
	}
	for _, p := range purposes {
		newest := time.Time{}
		for _, key := range s.data {
			if key.purpose == p.name && key.createdAt.After(newest) {
				newest = key.createdAt
			}
		}
		if dataDue(&newest, p, now) {
			return true
		}
	}
	return false
}

// signingDue reports whether the successor of a key that became active then
// must be published now.
func signingDue(newest *time.Time, now time.Time) bool {
	return newest == nil || !newest.Add(rotateEvery-publishAhead).After(now)
}

func dataDue(newest *time.Time, p purpose, now time.Time) bool {
	return newest == nil || !newest.Add(p.rotate).After(now)
}

// Maintain makes the keys that are missing or due and deletes those whose time
// is over. When several replicas call it at once, one does the work.
func (k *Keys) Maintain(ctx context.Context) error {
	err := k.locked(ctx, func(tx pgx.Tx, now time.Time) error {
		for _, alg := range algorithms {
			if err := k.maintainSigning(ctx, tx, alg, now); err != nil {
				return err
			}
		}
		for _, p := range purposes {
			if err := k.maintainData(ctx, tx, p, now); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, deleteRetiredSigning, now); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, deleteRetiredData, now)
		return err
	})
	if err != nil {
		return err
	}
	return k.Refresh(ctx)
}

// Rotate gives every algorithm a new key. It is published at once and becomes
// active after verifiers have had time to fetch it; with immediately it signs
// from now on, for when the present key is in wrong hands, and verifiers meet
// an unknown kid and fetch. Withdraw then ends the old key itself.
func (k *Keys) Rotate(ctx context.Context, immediately bool, by audit.Actor) error {
	err := k.locked(ctx, func(tx pgx.Tx, now time.Time) error {
		activate := now.Add(publishAhead)
		if immediately {
			activate = now
		}
		for _, alg := range algorithms {
			if immediately {
				if _, err := tx.Exec(ctx, supersedePending, alg, now); err != nil {
					return err
				}
			}
			if err := k.addSigning(ctx, tx, alg, now, activate); err != nil {
				return err
			}
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{
			OccurredAt: now, Action: "signing_key.rotated", Result: audit.Success, Actor: by,
			Details: map[string]any{"immediately": immediately},
		})
	})
	if err != nil {
		return err
	}
	return k.Refresh(ctx)
}

// Withdraw takes a key that signs no more out of the key set before its time:
// tokens that it signed stop verifying. The active key must be rotated first
// (fault.Conflict).
func (k *Keys) Withdraw(ctx context.Context, kid string, by audit.Actor) error {
	err := k.locked(ctx, func(tx pgx.Tx, now time.Time) error {
		all, err := list(ctx, tx, now)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(s Status) bool { return s.KID == kid })
		if i < 0 {
			return fault.New(fault.NotFound, "There is no such key.")
		}
		if all[i].State == "active" {
			return fault.New(fault.Conflict, "This key signs tokens now: rotate first.").WithCode("key_active")
		}
		if _, err = tx.Exec(ctx, withdrawKey, kid, now); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{
			OccurredAt: now, Action: "signing_key.withdrawn", Result: audit.Success, Actor: by, Target: kid,
		})
	})
	if err != nil {
		return err
	}
	return k.Refresh(ctx)
}

// Rewrap seals every key anew with the first key-encryption key, after which
// the others may leave the configuration. It returns how many it sealed.
func (k *Keys) Rewrap(ctx context.Context) (int, error) {
	sealedAnew := 0
	err := k.locked(ctx, func(tx pgx.Tx, _ time.Time) error {
		type box struct {
			name, place string
			content     []byte
		}
		rewrap := func(query, update string, scan func(pgx.CollectableRow) (box, error)) error {
			rows, err := tx.Query(ctx, query)
			if err != nil {
				return err
			}
			boxes, err := pgx.CollectRows(rows, scan)
			if err != nil {
				return err
			}
			for _, b := range boxes {
				plain, err := k.KEK.Open(b.place, b.content)
				if err != nil {
					return fmt.Errorf("%s: %w", b.place, err)
				}
				if _, err := tx.Exec(ctx, update, b.name, k.KEK.Seal(b.place, plain)); err != nil {
					return err
				}
				sealedAnew++
			}
			return nil
		}
		err := rewrap(lockSigningBoxes, updateSigningBox, func(row pgx.CollectableRow) (b box, err error) {
			err = row.Scan(&b.name, &b.content)
			b.place = signingPlace(b.name)
			return b, err
		})
		if err != nil {
			return err
		}
		return rewrap(lockDataBoxes, updateDataKeyBox, func(row pgx.CollectableRow) (b box, err error) {
			var r dataRow
			err = row.Scan(&r.id, &b.content)
			b.name, b.place = r.id.String(), dataPlace(r)
			return b, err
		})
	})
	return sealedAnew, err
}

// Status tells of one signing key.
type Status struct {
	KID         string     `json:"kid"`
	Alg         string     `json:"alg"`
	State       string     `json:"state"` // pending, active, replaced or retired
	PublishedAt time.Time  `json:"published_at"`
	ActivateAt  time.Time  `json:"activate_at"`
	RetireAt    *time.Time `json:"retire_at,omitempty"`
}

// List returns every signing key, by algorithm, the newest first.
func (k *Keys) List(ctx context.Context) ([]Status, error) { return list(ctx, k.DB, k.Now()) }

func list(ctx context.Context, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, now time.Time,
) ([]Status, error) {
	rows, err := db.Query(ctx, selectAllStatuses)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Status, err error) {
		return s, row.Scan(&s.KID, &s.Alg, &s.PublishedAt, &s.ActivateAt, &s.RetireAt)
	})
	seen := make(map[string]bool)
	for i := range all {
		s := &all[i]
		switch {
		case s.RetireAt != nil && !s.RetireAt.After(now):
			s.State = "retired"
		case s.ActivateAt.After(now):
			s.State = "pending"
		case !seen[s.Alg]:
			s.State, seen[s.Alg] = "active", true
		default:
			s.State = "replaced"
		}
	}
	return all, postgres.Translate(err)
}

// locked runs f in a transaction of which there is one at a time, over all
// replicas.
func (k *Keys) locked(ctx context.Context, f func(tx pgx.Tx, now time.Time) error) error {
	return postgres.InTx(ctx, k.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockRotation); err != nil {
			return err
		}
		return f(tx, k.Now().UTC().Truncate(time.Microsecond))
	})
}

func (k *Keys) maintainSigning(ctx context.Context, tx pgx.Tx, alg string, now time.Time) error {
	var newest *time.Time
	if err := tx.QueryRow(ctx, selectNewestSigning, alg).Scan(&newest); err != nil {
		return err
	}
	switch {
	case newest == nil: // nothing was ever signed, so nobody can lack the key
		return k.addSigning(ctx, tx, alg, now, now)
	case signingDue(newest, now):
		return k.addSigning(ctx, tx, alg, now, now.Add(publishAhead))
	}
	return nil
}

// addSigning publishes a new key of alg and sets when its predecessors retire.
func (k *Keys) addSigning(ctx context.Context, tx pgx.Tx, alg string, now, activate time.Time) error {
	signer, err := generate(alg)
	if err != nil {
		return err
	}
	public, err := publicKey(alg, signer)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return err
	}
	kid := public.KeyID
	if _, err := tx.Exec(ctx, insertSigningKey, kid, alg, k.KEK.Seal(signingPlace(kid), der), public, now, activate); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, retireSigningKeys, alg, kid, activate.Add(keepReplaced)); err != nil {
		return err
	}
	k.Log.LogAttrs(ctx, slog.LevelInfo, "signing key published",
		slog.String("kid", kid), slog.String("alg", alg), slog.Time("activate_at", activate))
	return nil
}

func (k *Keys) maintainData(ctx context.Context, tx pgx.Tx, p purpose, now time.Time) error {
	var newest *time.Time
	if err := tx.QueryRow(ctx, selectNewestData, p.name).Scan(&newest); err != nil {
		return err
	}
	if !dataDue(newest, p, now) {
		return nil
	}
	secret := make([]byte, sealed.KeySize)
	_, _ = rand.Read(secret) // never fails: crypto/rand aborts the program instead
	row := dataRow{id: id.New(), purpose: p.name, createdAt: now}
	if _, err := tx.Exec(ctx, insertDataKey, row.id, p.name, k.KEK.Seal(dataPlace(row), secret), now); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, retireDataKeys, p.name, row.id, now.Add(spread+p.keep))
	return err
}
