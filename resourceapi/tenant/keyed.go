package tenant

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
)

const (
	claimKey = `SELECT fingerprint, standing, answer FROM grocery.claim($1, $2)`

	keepAnswer = `INSERT INTO grocery.idempotency_keys (family_id, principal, key, fingerprint, standing, answer) VALUES ($1, $2, $3, $4, $5, $6)`
)

// Keyed is a request with an Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header-07). The change that such a
// request makes is not committed when Write returns but when the answer is
// known, together with it:
//
//	Write   begin; claim the key; …; the change        -> the feature renders
//	Keep    the answer; commit                          <- what it rendered
//	Drop    rollback                                    <- it could not
//
// A key that another transaction has is fault.Conflict, one that was used for
// another request fault.Unprocessable. If the request was carried out before,
// nothing is done and Before is what was answered.
type Keyed struct {
	Key    string
	Digest []byte // of the request
	Before []byte // as Keep got it; nil unless the request was carried out before

	tx      *Tx
	family  string // of the key's row
	refused error
	print   []byte
	found   struct {
		print, answer []byte
		standing      standing
	}
}

type keyedKey struct{}

// WithKey returns ctx for a request with an Idempotency-Key; nil takes it away,
// for requests of several transactions.
func WithKey(ctx context.Context, k *Keyed) context.Context {
	return context.WithValue(ctx, keyedKey{}, k)
}

func keyedFrom(ctx context.Context) *Keyed {
	k, _ := ctx.Value(keyedKey{}).(*Keyed)
	return k
}

var (
	// errReplay ends a transaction that was carried out before.
	errReplay = errors.New("the request was carried out before")
	errInUse  = errors.New("the key is in use")
)

// claim queues the look at the key behind the proof of the caller's standing.
func (k *Keyed) claim(tx *Tx) error {
	switch {
	case k.Pending():
		return errors.New("a request with a key made two changes")
	case k.refused != nil:
		return k.refused // a feature that tries another way gets no further
	}
	k.tx, k.family = tx, tx.Family.String()
	if tx.standing == founder || tx.standing == joiner {
		k.family = id.ID{}.String()
	}
	c := tx.Caller
	scopes := slices.Sorted(slices.Values(c.Scopes))
	rights := fmt.Sprintf("%q %q", c.ClientID, scopes)
	if c.Limit != nil {
		rights += fmt.Sprintf(" %v", c.Limit)
	}
	sum := sha256.Sum256(append(slices.Clone(k.Digest), rights...))
	k.print = sum[:]
	tx.Queue(claimKey, k.family, k.Key).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&k.found.print, &k.found.standing, &k.found.answer); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return nil
}

// verdict ends the transaction if the key was used before, or is in use; err is
// that of the round trip with the claim.
func (k *Keyed) verdict(err error) error {
	k.refused = k.judge(err)
	return k.refused
}

func (k *Keyed) judge(err error) error {
	switch {
	case errors.Is(err, errInUse):
		return err
	case k.found.answer == nil:
		return nil
	case !bytes.Equal(k.found.print, k.print):
		return fault.New(fault.Unprocessable, "This Idempotency-Key was used for another request.").WithCode("idempotency_key_reused")
	case k.found.standing != k.tx.standing:
		return fault.New(fault.Forbidden, "What was answered then is not for who you are in the family now.").WithCode("standing_changed")
	}
	k.Before = k.found.answer
	return errReplay
}

// Refused is why the key was not taken, whatever the feature made of that.
func (k *Keyed) Refused() error { return k.refused }

// Pending reports whether a change waits for Keep or Drop.
func (k *Keyed) Pending() bool { return k.tx != nil && k.tx.held }

// Keep commits the change together with the answer to it, which is sealed.
func (k *Keyed) Keep(ctx context.Context, answer []byte) error {
	tx := k.tx
	tx.Queue(keepAnswer, k.family, tx.Principal(), k.Key, k.print, string(tx.standing), answer)
	return tx.commit(ctx)
}

// Place is where the answer belongs, for sealing it.
func (k *Keyed) Place() string {
	return "grocery.idempotency_keys/answer/" + k.tx.Principal() + "/" + k.Key
}

// Drop undoes the change.
func (k *Keyed) Drop(ctx context.Context) { k.tx.abandon(ctx) }
