package auditchain

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/gowebpki/jcs"
	"github.com/jackc/pgx/v5"

	"larder/internal/id"
)

// Actor is who acted.
type Actor struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Event is one entry of an audit log. Count is how many equal ones it stands for.
type Event struct {
	ID         id.ID          `json:"id"`
	OccurredAt time.Time      `json:"occurred_at"`
	Action     string         `json:"action"`
	Result     string         `json:"result"`
	Actor      Actor          `json:"actor"`
	ClientID   string         `json:"client_id,omitempty"`
	Target     string         `json:"target,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Policies   []string       `json:"policies"`
	Count      int            `json:"count"`
	SourceIP   string         `json:"source_ip,omitempty"`
	UserAgent  string         `json:"user_agent,omitempty"`
	RequestID  string         `json:"request_id,omitempty"`
	Details    map[string]any `json:"details"`
}

// Columns are those of an event e, in the order of its places.
const Columns = `e.id, e.occurred_at, e.action, e.result, e.actor_kind, e.actor_id, coalesce(e.client_id, ''), coalesce(e.target, ''), coalesce(e.reason, ''),
       e.policies, e.count, coalesce(e.source_ip, ''), coalesce(e.user_agent, ''), coalesce(e.request_id, ''), e.details`

// places are where Columns go.
func (e *Event) places() []any {
	return []any{
		&e.ID, &e.OccurredAt, &e.Action, &e.Result, &e.Actor.Kind, &e.Actor.ID, &e.ClientID, &e.Target, &e.Reason,
		&e.Policies, &e.Count, &e.SourceIP, &e.UserAgent, &e.RequestID, &e.Details,
	}
}

// Scan reads a row of Columns, behind those that go to before.
func (e *Event) Scan(row pgx.Row, before ...any) error {
	err := row.Scan(append(before, e.places()...)...)
	e.OccurredAt = e.OccurredAt.UTC()
	return err
}

// Entry is an event as it is chained and exported.
type Entry struct {
	FamilyID id.ID
	Event
}

// Nobody is the family that the authserver's log is kept for.
func Nobody() id.ID { return id.ID{15: 1} }

// MarshalJSON leaves out the family that is none.
func (e Entry) MarshalJSON() ([]byte, error) {
	line := struct {
		FamilyID id.ID `json:"family_id,omitzero"`
		Event
	}{e.FamilyID, e.Event}
	if e.FamilyID == Nobody() {
		line.FamilyID = id.ID{}
	}
	return json.Marshal(line)
}

// hash is SHA-256 over the hash before and the entry in canonical JSON (RFC
// 8785). The first entry stands behind the hash of its family's id.
func (e *Entry) hash(before []byte) ([]byte, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	canonical, err := jcs.Transform(raw)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	h.Write(before)
	h.Write(canonical)
	return h.Sum(nil), nil
}

// root is what stands before a family's first entry.
func root(family id.ID) []byte {
	sum := sha256.Sum256([]byte("larder audit chain of " + family.String()))
	return sum[:]
}
