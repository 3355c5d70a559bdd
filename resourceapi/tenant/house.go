package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/resourceapi/policy"
)

// house is what a family decided that bears on every request: its ready-made
// rules, and the time zone in which they hold.
type house struct {
	zone  *time.Location // nil before the family was entered
	rules *policy.Rules  // nil for a family without any
	mark  string         // tells one state of both from another
}

// scanHouse reads the family's house from the last three columns of a row, and
// what stands before them into the others.
func (tx *Tx) scanHouse(row pgx.Row, others ...any) error {
	var (
		zone  string
		rules []byte
	)
	if err := row.Scan(append(others, &zone, &rules, &tx.house.mark)...); err != nil {
		return err
	}
	return tx.settle(zone, rules)
}

// queueHouse queues the reading of the house for whoever enters by a row that
// does not tell of it.
func (tx *Tx) queueHouse() {
	tx.batch.Queue(selectRules, tx.Family).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := tx.scanHouse(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// Zone is where the family lives, after Send.
func (tx *Tx) Zone() *time.Location { return tx.house.zone }

// settle makes the zone and the rules those of the family.
func (tx *Tx) settle(zone string, rules []byte) error {
	h := &tx.house
	h.zone, h.rules = tx.db.zones.load(zone), nil
	if rules == nil {
		return nil
	}
	h.rules = &policy.Rules{}
	if err := json.Unmarshal(rules, h.rules); err != nil {
		return fmt.Errorf("the rules of the family: %w", err)
	}
	return nil
}

// atlas remembers time zones, which lie in files. There are as many as the IANA
// database has: others are refused where a family's zone is set.
type atlas struct{ loaded sync.Map }

// load returns UTC for a zone that this machine does not know.
func (a *atlas) load(name string) *time.Location {
	if known, ok := a.loaded.Load(name); ok {
		if zone, ok := known.(*time.Location); ok {
			return zone
		}
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		zone = time.UTC
	}
	a.loaded.Store(name, zone)
	return zone
}

// circumstances are those of the caller's request for the action.
func (tx *Tx) circumstances(p policy.Principal, action policy.Action, resource policy.Resource) policy.Context {
	c := policy.UnknownContext(tx.db.Now())
	c.SourceIP = tx.source.IP
	c.AuthTime = tx.Caller.AuthTime
	if tx.Caller.ACR != "" {
		c.ACR = tx.Caller.ACR
	}
	if device := tx.Caller.Device; device == policy.KnownDevice || device == policy.NewDevice {
		c.Device = device
	}
	c.RiskScore = policy.RiskOf(tx.Caller.Risk)
	if tx.Caller.Limit != nil {
		c.Limited, c.Allowed = true, tx.allowed(resource)
	}
	if tx.house.zone != nil {
		c.Zone = tx.house.zone
	}
	c.Place = tx.house.rules.Place(c.SourceIP)
	c.Rules = tx.house.bearing(p, action, c)
	return c
}

// bearing are the rules that bear on the principal as he does this now.
func (h *house) bearing(p policy.Principal, action policy.Action, now policy.Context) []policy.Rule {
	return h.rules.For(p, action, now.Now.In(now.Zone))
}

// knows reports whether the caller may do this whatever the family's rules say
// of the hour and the place: that they keep him out for now is no secret from
// him.
func (tx *Tx) knows(ctx context.Context, action policy.Action, resource policy.Resource) bool {
	r := tx.request(action, resource)
	r.Context.Rules = nil
	return tx.db.Authorizer.Authorize(ctx, r).Allowed
}
