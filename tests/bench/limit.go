package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// limitConfig is what the limit server is told on stdin.
type limitConfig struct {
	DatabaseURL string
	// Answers are what the services answer, by the path of the handler that stands for them.
	Answers map[string]limitAnswer
}

// limitAnswer is how an answer looks: the header, and the size of the body in bytes.
type limitAnswer struct {
	Header http.Header
	Size   int
}

// The tables of the limit handlers, shaped like those of the services.
const limitTables = `
CREATE SCHEMA limits;
CREATE TABLE limits.families (
  id integer PRIMARY KEY, client_id text NOT NULL, user_id uuid NOT NULL, scopes text[] NOT NULL,
  generation integer NOT NULL DEFAULT 0, salt bytea, previous_salt bytea, rotated_at timestamptz
) WITH (fillfactor = 70);
INSERT INTO limits.families SELECT n, 'web', gen_random_uuid(), '{openid,lists:read}', 0, '\x00', '\x00', now() FROM generate_series(0, 1023) n;
CREATE TABLE limits.items (
  family_id uuid NOT NULL, list_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), name text NOT NULL,
  quantity numeric(12, 3), unit text NOT NULL, note text NOT NULL DEFAULT '', category text NOT NULL DEFAULT '',
  checked_at timestamptz, checked_by text, position double precision NOT NULL, version bigint NOT NULL DEFAULT 1,
  added_by text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id)
);
CREATE INDEX ON limits.items (family_id, list_id, position, id);
INSERT INTO limits.items (family_id, list_id, id, name, quantity, unit, position, added_by)
  SELECT '00000000-0000-7000-8000-000000000000', ('00000000-0000-7000-8000-' || to_char(l, 'FM000000000000'))::uuid,
         ('00000000-0000-7000-8000-' || to_char((l - 1) * 50 + n, 'FM000000000000'))::uuid, 'Item ' || n, 2, 'pieces', n, 'user:00000000-0000-7000-8000-000000000000'
    FROM generate_series(1, 100) l, generate_series(1, 50) n;
CREATE TABLE limits.changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), item text NOT NULL
);
CREATE TABLE limits.audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), item text NOT NULL, actor text NOT NULL
);
ANALYZE limits.families, limits.items`

const (
	limitRotate = `UPDATE limits.families SET generation = generation + 1, previous_salt = salt, salt = $2, rotated_at = now()
WHERE id = $1 RETURNING generation, client_id, user_id, scopes`

	limitList = `
SELECT id, list_id, name, quantity::float8, unit, note, category, checked_at, checked_by, position, version, added_by, created_at, updated_at
  FROM limits.items
 WHERE family_id = '00000000-0000-7000-8000-000000000000' AND list_id = '00000000-0000-7000-8000-000000000007' ORDER BY position, id`

	limitInsert = `INSERT INTO limits.changes (item) VALUES ($1)`

	// limitCheck is all that checking off writes: the item, its row of the feed and that of the audit log.
	limitCheck = `
WITH changed AS (
  UPDATE limits.items SET checked_at = CASE WHEN checked_at IS NULL THEN now() END, checked_by = $2, version = version + 1, updated_at = now()
   WHERE family_id = '00000000-0000-7000-8000-000000000000' AND id = ('00000000-0000-7000-8000-' || to_char($1::integer, 'FM000000000000'))::uuid
  RETURNING id, list_id, name, quantity::float8, unit, note, category, checked_at, checked_by, position, version, added_by, created_at, updated_at
), fed AS (INSERT INTO limits.changes (item) SELECT id::text FROM changed
), audited AS (INSERT INTO limits.audit (item, actor) SELECT id::text, $2 FROM changed)
TABLE changed`
)

// limitPool is as large as 16 connections can use, where the server is fastest.
const limitPool = 16

// limit holds what the handlers work with.
type limit struct {
	pool   *pgxpool.Pool
	key    *ecdsa.PrivateKey
	digest [32]byte
	signed []byte
	ready  map[string]readyAnswer
	now    func() time.Time
}

type readyAnswer struct {
	header http.Header
	body   []byte
}

// serveLimit serves until stdin ends and prints its address first.
func serveLimit(ctx context.Context, stdin io.Reader, stdout io.Writer, now func() time.Time) error {
	debug.SetGCPercent(800) // handlers this small would else measure the collector
	var config limitConfig
	in := json.NewDecoder(stdin)
	if err := in.Decode(&config); err != nil {
		return err
	}
	l, err := newLimit(ctx, config, now)
	if err != nil {
		return err
	}
	defer l.pool.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: l.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_ = in.Decode(&config) // ends with our parent
		_ = server.Close()
	}()
	if _, err := fmt.Fprintln(stdout, listener.Addr()); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newLimit(ctx context.Context, config limitConfig, now func() time.Time) (*limit, error) {
	l := &limit{ready: make(map[string]readyAnswer), now: now, digest: sha256.Sum256([]byte("a token"))}
	for path, like := range config.Answers {
		header := like.Header.Clone()
		for _, own := range []string{"Date", "Content-Length", "Transfer-Encoding", "Connection"} {
			header.Del(own) // net/http writes them
		}
		l.ready[path] = readyAnswer{
			header: header, body: []byte(`{"x":"` + strings.Repeat("x", max(like.Size-len(`{"x":""}`), 0)) + `"}`),
		}
	}
	var err error
	if l.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if l.signed, err = ecdsa.SignASN1(rand.Reader, l.key, l.digest[:]); err != nil {
		return nil, err
	}
	pool, err := pgxpool.ParseConfig(config.DatabaseURL)
	if err != nil {
		return nil, errors.New("the database URL cannot be read")
	}
	pool.MaxConns = limitPool
	l.pool, err = pgxpool.NewWithConfig(ctx, pool)
	return l, err
}

func (l *limit) handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{pathDiscovery, pathJWKS, pathIntrospection} {
		mux.HandleFunc(path, l.answer(path, func(*http.Request) error { return nil }))
	}
	mux.HandleFunc(pathVerify, l.answer(pathVerify, func(*http.Request) error {
		if !ecdsa.VerifyASN1(&l.key.PublicKey, l.digest[:], l.signed) {
			return errors.New("the signature is wrong")
		}
		return nil
	}))
	mux.HandleFunc(pathInsert, l.answer(pathInsert, func(r *http.Request) error {
		_, err := l.pool.Exec(r.Context(), limitInsert, "item")
		return err
	}))
	mux.HandleFunc(pathSign, encode(l.token))
	mux.HandleFunc(pathRotate+"{family}", encode(l.rotate))
	mux.HandleFunc(pathList, encode(l.list))
	mux.HandleFunc(pathCheck+"{item}", encode(l.check))
	return mux
}

// answer does the work and then sends a body of the service's size under the service's header.
func (l *limit) answer(path string, work func(*http.Request) error) http.HandlerFunc {
	ready := l.ready[path]
	return func(w http.ResponseWriter, r *http.Request) {
		err := work(r)
		maps.Copy(w.Header(), ready.header)
		send(w, ready.body, err)
	}
}

// encode does the work and sends what came of it as JSON.
func encode[T any](work func(*http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := work(r)
		var body []byte
		if err == nil {
			body, err = json.Marshal(value)
		}
		send(w, body, err)
	}
}

func send(w http.ResponseWriter, body []byte, err error) {
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}
