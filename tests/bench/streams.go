package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	manyStreams = 2000
	// perKey is how many streams one caller may have.
	perKey        = 16
	streamsTarget = 95 // MiB, which are 100 MB
	streamsName   = "idle event streams"
	// quiet is how long the streams are watched: each reads the feed by itself within half a minute.
	quiet = 31 * time.Second
)

// streams is what open event streams that nobody writes to cost the API, in MiB.
type streams struct {
	count         int
	before, after float64
}

// idleStreams opens event streams on behalf of many keys, and sees what they cost once each has had a look of its own.
func (b *bench) idleStreams(ctx context.Context) (err error) {
	if !b.rows.MatchString(streamsName) {
		return nil
	}
	say("%d %s", manyStreams, streamsName)
	api := b.ResourceAPIs[0]
	if err := errors.Join(api.Stop(), api.Start(ctx)); err != nil { // what it did before would count
		return err
	}
	keys, err := b.apiKeys(ctx, (manyStreams+perKey-1)/perKey)
	if err != nil {
		return err
	}
	measured := streams{count: manyStreams}
	if measured.before, _, err = resident(ctx, api.PID()); err != nil {
		return err
	}
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	for n := range manyStreams {
		conn, err := b.stream(ctx, keys[n/perKey])
		if err != nil {
			return fmt.Errorf("stream %d: %w", n, err)
		}
		open = append(open, conn)
	}
	for end := b.now().Add(quiet); b.now().Before(end); {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		mib, _, err := resident(ctx, api.PID())
		if err != nil {
			return err
		}
		measured.after = max(measured.after, mib)
	}
	b.streams = append(b.streams, measured)
	return nil
}

// apiKeys makes so many keys for the demo family.
func (b *bench) apiKeys(ctx context.Context, count int) ([]string, error) {
	var keys []string
	for n := range count {
		shown, err := b.Operate(ctx, "apikey", "create", "--json", "--family", b.Demo.FamilyID,
			"--name", fmt.Sprintf("Display %d", n), "--scope", "lists:read", "--expires", "1h")
		if err != nil {
			return nil, err
		}
		var made struct {
			APIKey string `json:"api_key"`
		}
		if err := json.Unmarshal([]byte(shown), &made); err != nil {
			return nil, err
		}
		keys = append(keys, made.APIKey)
	}
	return keys, nil
}

// stream opens the family's feed and waits for its first event.
func (b *bench) stream(ctx context.Context, key string) (net.Conn, error) {
	at := host(b.API)
	conn, err := (&net.Dialer{Timeout: answerLimit}).DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, err
	}
	err = conn.SetDeadline(b.now().Add(answerLimit))
	if err == nil {
		_, err = conn.Write(get(at, "/v1/families/"+b.Demo.FamilyID+"/feed", "Authorization: Bearer "+key))
	}
	var got []byte
	for part := make([]byte, 4096); err == nil && !bytes.Contains(got, []byte("event: ready")); {
		var n int
		n, err = conn.Read(part)
		got = append(got, part[:n]...)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w after %q", err, got), conn.Close())
	}
	return conn, nil
}
