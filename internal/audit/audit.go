package audit

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"larder/internal/id"
)

// Result is how an audited action ended.
type Result string

// The results.
const (
	Success Result = "success"
	Failure Result = "failure" // tried and not accomplished, such as a wrong password
	Denied  Result = "denied"  // a policy said no
)

// Actor is who acted. Kind is user, client, api_key, operator, system or
// anonymous; ID is the subject, client_id or key id.
type Actor struct {
	Kind string
	ID   string
}

// Event is one row of the audit log. OccurredAt and Action are mandatory.
type Event struct {
	OccurredAt time.Time
	Action     string // noun.verb, such as "refresh_token.reused"
	Result     Result
	Actor      Actor
	ClientID   string
	FamilyID   id.ID // grocery only
	Target     string
	Reason     string
	Policies   []string
	SourceIP   string
	UserAgent  string
	RequestID  string
	Details    map[string]any
	Count      int // how many equal ones it stands for; 0 is one
}

// Log is the audit_events table of one schema.
type Log struct {
	insert    string
	hasFamily bool
}

// The columns of the log, and an event's values for them.
const (
	columns = ` (id, occurred_at, action, result, actor_kind, actor_id, client_id, target, reason, policies, count, source_ip, user_agent, request_id, details`
	values  = `$1,$2,$3,$4,$5,$6,nullif($7,''),nullif($8,''),nullif($9,''),$10,$11,nullif($12,''),nullif($13,''),nullif($14,''),$15`

	insertAuth    = `INSERT INTO auth.audit_events` + columns + `) VALUES (` + values + `)`
	insertGrocery = `INSERT INTO grocery.audit_events` + columns + `, family_id) VALUES (` + values + `,$16)`
	// insertAfter is for the rows of a change that was made in the same statement.
	insertAfter = `INSERT INTO grocery.audit_events` + columns + `, family_id) SELECT ` + values + `,$16 FROM changed`
)

// Auth is the log of schema auth.
func Auth() Log { return Log{insert: insertAuth} }

// Grocery is the log of schema grocery, whose rows belong to a family.
func Grocery() Log { return Log{insert: insertGrocery, hasFamily: true} }

// Execer is a pool, a connection or a transaction.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Insert appends e through db, which is the transaction of the change that e
// tells of.
func (l Log) Insert(ctx context.Context, db Execer, e Event) error {
	_, err := db.Exec(ctx, l.insert, l.args(e)...)
	return err
}

// Batch queues the insertion of e on a batch.
func (l Log) Batch(b *pgx.Batch, e Event) { b.Queue(l.insert, l.args(e)...) }

// BatchWith queues the insertion of e and another in one statement, which costs
// the database less than two. The other may use the parameters of e's, which
// end at $15 for auth and at $16 for grocery; its own args follow.
func (l Log) BatchWith(b *pgx.Batch, e Event, other string, args ...any) {
	b.Queue("WITH other AS ("+other+")"+l.insert, append(l.args(e), args...)...)
}

// BatchAfter queues, in one statement, queries of which one is named changed,
// the insertion of e into the grocery log for each row of that one, and a query
// over them. They may use the parameters of e, as with BatchWith.
func (l Log) BatchAfter(b *pgx.Batch, e Event, queries, query string, args ...any) *pgx.QueuedQuery {
	return b.Queue("WITH "+queries+", audited AS ("+insertAfter+") "+query, append(l.args(e), args...)...)
}

func (l Log) args(e Event) []any {
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	if e.Policies == nil {
		e.Policies = []string{}
	}
	args := []any{
		id.New(), e.OccurredAt, e.Action, string(e.Result), e.Actor.Kind, clip(e.Actor.ID), clip(e.ClientID), clip(e.Target), clip(e.Reason),
		e.Policies, max(e.Count, 1), e.SourceIP, clip(e.UserAgent), e.RequestID, e.Details,
	}
	if l.hasFamily {
		args = append(args, e.FamilyID)
	}
	return args
}

// clipAt bounds what a request may put into a column, in bytes.
const clipAt = 400

// clip shortens s to clipAt bytes of valid UTF-8: the database would refuse
// anything else, and with it the whole batch, again and again.
func clip(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), clipAt)], ""), "\x00", "")
}
