package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"

	"larder/internal/devstack/demo"
)

// What the full site holds: a family with more than any will have, among many others.
const (
	manyFamilies = 2000
	manyLists    = 200
	manyItems    = 50_000

	largeList  = "GET a list of 50 items, much there"
	largeSync  = "sync what is new, much there"
	largeCheck = "check off an item, much there"

	// scaleTarget is the ratio of an answer that takes 1.5 times as long.
	scaleTarget = 1 / 1.5
)

// fillFamily gives the family $1 of the user $2 its lists, items, changes and audit log.
const fillFamily = `
WITH made AS (
  INSERT INTO grocery.lists (family_id, id, kind, name, created_by, position)
  SELECT $1, gen_random_uuid(), 'shared', 'List ' || n, 'user:' || $2, n FROM generate_series(1, $3) n RETURNING id
), filled AS (
  INSERT INTO grocery.items (family_id, list_id, id, name, quantity, unit, position, added_by)
  SELECT $1, made.id, gen_random_uuid(), 'Item ' || n, 2, 'pieces', n, 'user:' || $2 FROM made, generate_series(1, $4) n RETURNING list_id, id
), told AS (
  INSERT INTO grocery.change_feed (family_id, event, list_id, entity_id, version, actor)
  SELECT $1, 'item.added', list_id, id::text, 1, 'user:' || $2 FROM filled
)
INSERT INTO grocery.audit_events (family_id, id, occurred_at, action, result, actor_kind, actor_id, target)
SELECT $1, gen_random_uuid(), now(), 'item.added', 'success', 'user', $2, id::text FROM filled`

// fillOthers makes $1 families of four people each, with five lists of twenty items.
const fillOthers = `
WITH made AS (
  INSERT INTO grocery.families (id, name, created_by)
  SELECT gen_random_uuid(), 'Family ' || n, 'user:founder-' || n FROM generate_series(1, $1) n RETURNING id
), joined AS (
  INSERT INTO grocery.family_members (family_id, user_id, role, display_name)
  SELECT made.id, made.id || '-' || n, CASE n WHEN 1 THEN 'admin' ELSE 'member' END, 'Person ' || n FROM made, generate_series(1, 4) n
), listed AS (
  INSERT INTO grocery.lists (family_id, id, kind, name, created_by, position)
  SELECT made.id, gen_random_uuid(), 'shared', 'List ' || n, 'user:' || made.id || '-1', n FROM made, generate_series(1, 5) n RETURNING family_id, id, created_by
), filled AS (
  INSERT INTO grocery.items (family_id, list_id, id, name, quantity, unit, position, added_by)
  SELECT family_id, listed.id, gen_random_uuid(), 'Item ' || n, 2, 'pieces', n, created_by FROM listed, generate_series(1, 20) n RETURNING family_id, list_id, id, added_by
)
INSERT INTO grocery.change_feed (family_id, event, list_id, entity_id, version, actor)
SELECT family_id, 'item.added', list_id, id::text, 1, added_by FROM filled`

// scale lets an empty site and a full one take turns at the same work: a family of the one has as much in it as the
// work needs, a family of the other all that there may ever be.
func (b *bench) scale(ctx context.Context) (err error) {
	if !slices.ContainsFunc([]string{largeList, largeSync, largeCheck}, b.rows.MatchString) {
		return nil
	}
	say("Filling a family with %d lists and %d items, among %d others.", manyLists, manyItems, manyFamilies)
	var prepared [2][]row
	for n, redis := range []int{emptyRedis, fullRedis} {
		s, err := open(ctx, b.binaries, redis)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.close(ctx)) }()
		if redis == fullRedis {
			if err := s.fill(ctx); err != nil {
				return err
			}
		}
		if prepared[n], err = s.scaleRows(ctx); err != nil {
			return err
		}
		if err := s.db.settle(ctx); err != nil {
			return err
		}
	}
	empty, full := prepared[0], prepared[1]
	for n, r := range full {
		if !b.rows.MatchString(r.name) {
			continue
		}
		r.limits = []bound{{host: empty[n].host, scripts: empty[n].scripts}}
		say("%s, %d connections", r.name, targetConnections)
		if err := b.measureRow(ctx, &r, targetConnections); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// scaleRows prepares the same work at either site.
func (s *site) scaleRows(ctx context.Context) ([]row, error) {
	shop, err := signIn(ctx, s.Stack, targetConnections)
	if err != nil {
		return nil, err
	}
	tokens, err := shop.token(ctx)
	if err != nil {
		return nil, err
	}
	at, sync := host(s.API), "/v1/families/"+s.Demo.FamilyID+"/sync"
	before, err := s.Call(ctx, tokens.AccessToken, http.MethodPost, sync, `{}`)
	if err != nil {
		return nil, err
	}
	cursor, err := before.Find(".cursor")
	if err != nil {
		return nil, err
	}
	list, check, err := shop.lists(ctx, tokens.AccessToken, at)
	if err != nil {
		return nil, err
	}
	news := fixed(largeSync, at, "", target{}, request{http.MethodPost, sync, fmt.Sprintf(`{"cursor":%q}`, cursor), []string{
		"Authorization: Bearer " + tokens.AccessToken, "Content-Type: application/json",
	}})
	list.name, check.name = largeList, largeCheck
	rows := []row{list, news, check} // checking off adds to what is new
	for n := range rows {
		rows[n].target = target{ratio: scaleTarget}
	}
	return rows, nil
}

// fill makes the site full.
func (s *site) fill(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.OwnerURL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	ada, _ := s.Demo.User(demo.Admin)
	if _, err := conn.Exec(ctx, fillFamily, s.Demo.FamilyID, ada.ID, manyLists, manyItems/manyLists); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, fillOthers, manyFamilies)
	return err
}
