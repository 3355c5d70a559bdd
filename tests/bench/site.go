package main

import (
	"context"
	"errors"
	"os"

	"larder/tests/stack"
)

// site is a stack on a database of its own.
type site struct {
	*stack.Stack
	db  *database
	dir string
}

// open starts a site that uses that database of Redis. What it has begun when it fails, it takes away.
func open(ctx context.Context, binaries stack.Binaries, redis int) (_ *site, err error) {
	var s site
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	if s.db, err = makeDatabase(ctx, redis); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "larder-bench-"); err != nil {
		return nil, err
	}
	config := s.db.config
	config.Binaries, config.Dir, config.Direct = binaries, s.dir, true
	s.Stack, err = stack.Start(ctx, config)
	return &s, err
}

// close stops the services and drops the database.
func (s *site) close(ctx context.Context) (err error) {
	if s.Stack != nil {
		err = s.Stop()
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	if s.db != nil {
		err = errors.Join(err, s.db.drop(ctx))
	}
	return err
}
