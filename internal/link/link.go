package link

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	idBytes    = 16
	tokenBytes = idBytes + sha256.Size
)

const (
	upsertLink = `
INSERT INTO auth.links (id, purpose, subject, data, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (purpose, subject) DO UPDATE SET id = excluded.id, data = excluded.data, created_at = excluded.created_at, expires_at = excluded.expires_at`

	renewLink = `UPDATE auth.links SET id = $3, created_at = $4, expires_at = $5 WHERE id = $1 AND purpose = $2 AND expires_at > $4`

	selectLink  = `SELECT id, subject, data FROM auth.links WHERE id = $1 AND purpose = $2 AND expires_at > $3`
	deleteLink  = `DELETE FROM auth.links WHERE id = $1 AND purpose = $2 AND expires_at > $3 RETURNING id, subject, data`
	deleteAll   = `DELETE FROM auth.links WHERE subject = $1`
	deleteByKey = `DELETE FROM auth.links WHERE id = $1`
)

// Links keeps links in schema auth.
type Links struct {
	DB     *pgxpool.Pool
	Issuer string // our own address, without a trailing slash; never what a request says
	// Keys are the keys of the codes, the one to make new ones with first.
	Keys func() [][]byte
	Now  func() time.Time
}

// New is what a link is made from.
type New struct {
	Purpose string
	Subject string // whom it concerns; there is one link of a purpose for a subject
	Data    any    // becomes JSON
	Life    time.Duration
}

// Link is what a link in force says.
type Link struct {
	ID      id.ID
	Subject string
	data    []byte
}

// Into reads the data that the link was made with.
func (l *Link) Into(v any) error { return json.Unmarshal(l.data, v) }

// Execer is a pool, a connection or a transaction.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Issue makes a link in the transaction of its cause.
func (l *Links) Issue(ctx context.Context, tx Execer, n New) (id.ID, error) {
	if n.Data == nil {
		n.Data = struct{}{}
	}
	linkID, now := id.New(), l.Now()
	_, err := tx.Exec(ctx, upsertLink, linkID, n.Purpose, n.Subject, n.Data, now, now.Add(n.Life))
	return linkID, err
}

// Renew replaces a link that is in force by another one about the same; the old
// one dies.
func (l *Links) Renew(ctx context.Context, tx Execer, purpose string, old id.ID, life time.Duration) (id.ID, error) {
	fresh, now := id.New(), l.Now()
	tag, err := tx.Exec(ctx, renewLink, old, purpose, fresh, now, now.Add(life))
	if err == nil && tag.RowsAffected() == 0 {
		err = over(nil)
	}
	return fresh, err
}

// URL is the whole address for a mail: the token is the last part of its path,
// where no encoding of a mail can break it.
func (l *Links) URL(path, purpose string, linkID id.ID) (string, error) {
	keys := l.Keys()
	if len(keys) == 0 {
		return "", fault.New(fault.Unavailable, "The keys are not loaded yet.")
	}
	return l.Issuer + path + "/" + sign(keys[0], purpose, linkID), nil
}

// Find returns a link in force by its id, for the sender of its mail.
func (l *Links) Find(ctx context.Context, purpose string, linkID id.ID) (*Link, error) {
	return l.one(ctx, l.DB, selectLink, purpose, linkID)
}

// Look returns what a token is about and leaves it in force.
func (l *Links) Look(ctx context.Context, purpose, token string) (*Link, error) {
	linkID, err := l.read(purpose, token)
	if err != nil {
		return nil, err
	}
	return l.Find(ctx, purpose, linkID)
}

// Use spends a token in the transaction of what it allows: of any number that
// come at once one succeeds.
func (l *Links) Use(ctx context.Context, tx pgx.Tx, purpose, token string) (*Link, error) {
	linkID, err := l.read(purpose, token)
	if err != nil {
		return nil, err
	}
	return l.one(ctx, tx, deleteLink, purpose, linkID)
}

// Drop kills one link.
func (l *Links) Drop(ctx context.Context, tx Execer, linkID id.ID) error {
	_, err := tx.Exec(ctx, deleteByKey, linkID)
	return err
}

// DropAll kills every link about a subject.
func DropAll(ctx context.Context, tx Execer, subject string) error {
	_, err := tx.Exec(ctx, deleteAll, subject)
	return err
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func (l *Links) one(ctx context.Context, db querier, statement, purpose string, linkID id.ID) (*Link, error) {
	rows, err := db.Query(ctx, statement, linkID, purpose, l.Now())
	if err != nil {
		return nil, postgres.Translate(err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (*Link, error) {
		var one Link
		return &one, row.Scan(&one.ID, &one.Subject, &one.data)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, over(err)
	}
	return found, postgres.Translate(err)
}

func (l *Links) read(purpose, token string) (id.ID, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != tokenBytes {
		return id.ID{}, over(err)
	}
	linkID := id.ID(raw[:idBytes])
	for _, key := range l.Keys() {
		if hmac.Equal(raw[idBytes:], code(key, purpose, linkID)) {
			return linkID, nil
		}
	}
	return id.ID{}, over(nil)
}

func sign(key []byte, purpose string, linkID id.ID) string {
	return base64.RawURLEncoding.EncodeToString(append(append([]byte{}, linkID[:]...), code(key, purpose, linkID)...))
}

func code(key []byte, purpose string, linkID id.ID) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(linkID[:]) // of fixed length, so that no two pairs are the same text
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

func over(cause error) error {
	return fault.Wrap(fault.NotFound, "This link does not work: it was used already, a newer one took its place, or it is too old.", cause).WithCode("link_over")
}
