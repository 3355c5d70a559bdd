package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"larder/internal/postgres"
)

const (
	jobTimeout  = 30 * time.Second
	rescueAfter = time.Minute
	// kept bounds how long the arguments of finished jobs, which name people,
	// lie in the database.
	kept        = time.Hour
	failedKept  = 7 * 24 * time.Hour
	maxAttempts = 12 // the last about seven hours after the first
	atOnce      = 8
	stopWithin  = 10 * time.Second
	retryEvery  = time.Second
)

// Outbound is the queue of jobs that wait for servers of others. A job goes to
// the usual one unless its arguments name this (river.JobArgsWithInsertOpts).
const Outbound = "outbound"

// Queue takes jobs in. Make it with NewQueue.
type Queue struct {
	client *river.Client[pgx.Tx]
}

// NewQueue returns a queue in a schema of the database. It connects nothing.
func NewQueue(db *pgxpool.Pool, schema string, log *slog.Logger) (*Queue, error) {
	client, err := river.NewClient(riverpgxv5.New(db), &river.Config{Schema: schema, Logger: log, MaxAttempts: maxAttempts})
	if err != nil {
		return nil, fmt.Errorf("the job queue: %w", err)
	}
	return &Queue{client: client}, nil
}

// Insert leaves a job behind that begins once tx has committed.
func (q *Queue) Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error {
	_, err := q.client.InsertTx(ctx, tx, args, nil)
	return err
}

// InsertAlone leaves a job behind that belongs to no other change.
func (q *Queue) InsertAlone(ctx context.Context, args river.JobArgs) error {
	_, err := q.client.Insert(ctx, args, nil)
	return postgres.Translate(err)
}

// Crew does jobs. Make it with NewCrew.
type Crew struct {
	client *river.Client[pgx.Tx]
	log    *slog.Logger

	backlog *backlog
}

// NewCrew returns the workers of one replica.
func NewCrew(db *pgxpool.Pool, schema string, workers *river.Workers, log *slog.Logger, reg prometheus.Registerer) (*Crew, error) {
	client, err := river.NewClient(riverpgxv5.New(db), &river.Config{
		Schema: schema, Workers: workers, Logger: log, MaxAttempts: maxAttempts,
		Queues:     map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: atOnce}, Outbound: {MaxWorkers: atOnce}},
		JobTimeout: jobTimeout, RescueStuckJobsAfter: rescueAfter,
		CompletedJobRetentionPeriod: kept, CancelledJobRetentionPeriod: kept, DiscardedJobRetentionPeriod: failedKept,
		// The runtime role owns no index, and autovacuum suffices at our size.
		ReindexerSchedule: river.NeverSchedule(),
	})
	if err != nil {
		return nil, fmt.Errorf("the job workers: %w", err)
	}
	return &Crew{client: client, log: log, backlog: newBacklog(db, schema, log, reg)}, nil
}

// Run does jobs until ctx is done, and then lets those that have begun finish
// for up to 10 seconds.
func (c *Crew) Run(ctx context.Context) {
	for {
		err := c.client.Start(context.WithoutCancel(ctx))
		if err == nil {
			break
		}
		c.log.LogAttrs(ctx, slog.LevelWarn, "jobs not begun", slog.String("error", err.Error()))
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryEvery):
		}
	}
	c.backlog.watch(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := c.client.Stop(stop); err != nil {
		_ = c.client.StopAndCancel(context.WithoutCancel(ctx)) // cancelled jobs are tried again by another replica
	}
}
