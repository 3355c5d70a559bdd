package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// limitConfig is what the limit server is told on stdin.
type limitConfig struct {
	DatabaseURL string
	// Sizes are the sizes of the services' bodies by the path of the handler that stands for them, in bytes.
	Sizes map[string]int
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
  family_id uuid NOT NULL, list_id integer NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), name text NOT NULL,
  quantity numeric, unit text, note text, category text, position double precision NOT NULL, version bigint NOT NULL DEFAULT 1,
  checked_at timestamptz, created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (family_id, list_id, id)
);
INSERT INTO limits.items (family_id, list_id, name, quantity, unit, position)
  SELECT '00000000-0000-7000-8000-000000000000', l, 'item ' || n, n, 'pieces', n FROM generate_series(1, 100) l, generate_series(1, 50) n;
CREATE TABLE limits.changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), item text NOT NULL
);
ANALYZE limits.families, limits.items`

const (
	limitRotate = `UPDATE limits.families SET generation = generation + 1, previous_salt = salt, salt = $2, rotated_at = now()
WHERE id = $1 RETURNING generation, client_id, user_id, scopes`

	limitList = `SELECT id, name, quantity, unit, note, category, position, version, checked_at, created_at FROM limits.items
WHERE family_id = '00000000-0000-7000-8000-000000000000' AND list_id = $1 ORDER BY position`

	limitInsert = `INSERT INTO limits.changes (item) VALUES ($1)`
)

// limitPool is as large as 16 connections can use, where the server is fastest.
const limitPool = 16

// limit holds what the handlers work with.
type limit struct {
	pool   *pgxpool.Pool
	key    *ecdsa.PrivateKey
	digest [32]byte
	signed []byte
	bodies map[string][]byte
}

// serveLimit serves until stdin ends and prints its address first.
func serveLimit(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	debug.SetGCPercent(800) // handlers this small would else measure the collector
	var config limitConfig
	in := json.NewDecoder(stdin)
	if err := in.Decode(&config); err != nil {
		return err
	}
	l, err := newLimit(ctx, config)
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

func newLimit(ctx context.Context, config limitConfig) (*limit, error) {
	l := &limit{bodies: make(map[string][]byte), digest: sha256.Sum256([]byte("a token"))}
	for path, size := range config.Sizes {
		l.bodies[path] = []byte(`{"x":"` + strings.Repeat("x", max(size-len(`{"x":""}`), 0)) + `"}`)
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
	mux.HandleFunc(pathSign, l.answer(pathSign, func(r *http.Request) error { return l.sign(r, 1) }))
	mux.HandleFunc(pathRotate+"{family}", l.answer(pathRotate, l.rotate))
	mux.HandleFunc(pathList, l.answer(pathList, l.list))
	mux.HandleFunc(pathInsert, l.answer(pathInsert, func(r *http.Request) error {
		_, err := l.pool.Exec(r.Context(), limitInsert, "item")
		return err
	}))
	return mux
}

// answer does the work and then sends a body of the service's size.
func (l *limit) answer(path string, work func(*http.Request) error) http.HandlerFunc {
	body := l.bodies[path]
	return func(w http.ResponseWriter, r *http.Request) {
		if err := work(r); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
}

// sign signs as a token is signed: over its SHA-256, and in base64url.
func (l *limit) sign(_ *http.Request, times int) error {
	var text [128]byte
	for range times {
		digest := sha256.Sum256(l.digest[:])
		signature, err := ecdsa.SignASN1(rand.Reader, l.key, digest[:])
		if err != nil {
			return err
		}
		base64.RawURLEncoding.Encode(text[:], signature)
	}
	return nil
}

func (l *limit) rotate(r *http.Request) error {
	family, err := strconv.Atoi(r.PathValue("family"))
	if err != nil {
		return err
	}
	var salt [16]byte
	_, _ = rand.Read(salt[:])
	var (
		generation   int
		client, user string
		scopes       []string
	)
	if err := l.pool.QueryRow(r.Context(), limitRotate, family, salt[:]).Scan(&generation, &client, &user, &scopes); err != nil {
		return err
	}
	return l.sign(r, 2)
}

func (l *limit) list(r *http.Request) error {
	rows, err := l.pool.Query(r.Context(), limitList, 7)
	if err != nil {
		return err
	}
	defer rows.Close()
	read := 0
	for rows.Next() {
		read += len(rows.RawValues()[0])
	}
	if read == 0 {
		return errors.New("the list is empty")
	}
	return rows.Err()
}
