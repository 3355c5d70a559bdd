package authzen

import (
	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectRoles = `SELECT user_id, role FROM grocery.family_members WHERE family_id = $1 AND user_id = ANY ($2)`

	selectPeers = `
SELECT 'user', user_id, role, NULL::text[] FROM grocery.family_members
 WHERE family_id = $1 AND user_id = ANY ($2) AND (expires_at IS NULL OR expires_at > now())
 UNION ALL
SELECT 'app', client_id, '', scopes FROM grocery.app_installations WHERE family_id = $1 AND client_id = ANY ($3)`

	// Pages of subjects, by kind.
	selectUsers = `
SELECT 'user', user_id, role, NULL::text[] FROM grocery.family_members
 WHERE family_id = $1 AND user_id > $2 AND (expires_at IS NULL OR expires_at > now()) ORDER BY user_id LIMIT $3`
	selectApps = `
SELECT 'app', client_id, '', scopes FROM grocery.app_installations WHERE family_id = $1 AND client_id > $2 ORDER BY client_id LIMIT $3`

	// What guests were granted; NULL stands for all the lists, or all the guests.
	selectGrants = `
SELECT list_id, user_id, verbs FROM grocery.list_permissions
 WHERE family_id = $1 AND ($2::uuid[] IS NULL OR list_id = ANY ($2)) AND ($3::text[] IS NULL OR user_id = ANY ($3))
   AND (expires_at IS NULL OR expires_at > now())`

	// Pages of things, by type; each has the columns of thing.
	selectLists = `
SELECT id::text AS key, id, kind, owner, created_by, '' FROM grocery.lists WHERE family_id = $1 AND id > $2::text::uuid ORDER BY id LIMIT $3`
	selectItems = `
SELECT i.id::text AS key, l.id, l.kind, l.owner, l.created_by, ''
  FROM grocery.items i JOIN grocery.lists l ON l.family_id = i.family_id AND l.id = i.list_id
 WHERE i.family_id = $1 AND i.id > $2::text::uuid ORDER BY i.id LIMIT $3`
	selectListItems = `
SELECT i.id::text AS key, l.id, l.kind, l.owner, l.created_by, ''
  FROM grocery.items i JOIN grocery.lists l ON l.family_id = i.family_id AND l.id = i.list_id
 WHERE i.family_id = $1 AND i.id > $2::text::uuid AND i.list_id = $4 ORDER BY i.id LIMIT $3`
	selectMembers = `
SELECT user_id, NULL::uuid, '', NULL, '', role FROM grocery.family_members WHERE family_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3`
	selectInvitations = `
SELECT id::text AS key, NULL::uuid, '', NULL, '', role FROM grocery.invitations WHERE family_id = $1 AND id > $2::text::uuid ORDER BY id LIMIT $3`
	selectInstalled = `
SELECT client_id, NULL::uuid, '', NULL, '', '' FROM grocery.app_installations WHERE family_id = $1 AND client_id > $2 ORDER BY client_id LIMIT $3`

	selectMine = `SELECT id FROM grocery.families WHERE id = ANY (grocery.families()) AND id >= $1::text::uuid ORDER BY id LIMIT $2`
)

// beforeAll is less than every UUID that is one.
const beforeAll = "00000000-0000-0000-0000-000000000000"

func (f *facts) queueRoles(people []string) {
	f.tx.Queue(selectRoles, f.tx.Family, people).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var user string
			var role policy.Role
			if err := rows.Scan(&user, &role); err != nil {
				return err
			}
			f.roles[user] = role
		}
		return rows.Err()
	})
}

func (f *facts) queuePeers(peers []who) {
	users, apps := []string{}, []string{}
	for _, p := range peers {
		switch p.kind {
		case string(policy.User):
			users = append(users, p.id)
		case string(policy.App):
			apps = append(apps, p.id)
		}
	}
	f.tx.Queue(selectPeers, f.tx.Family, users, apps).Query(func(rows pgx.Rows) error { return f.scanPeers(rows, nil) })
}

// scanPeers remembers the peers in rows, and their order.
func (f *facts) scanPeers(rows pgx.Rows, order *[]who) error {
	for rows.Next() {
		var p tenant.Peer
		if err := rows.Scan(&p.Kind, &p.ID, &p.Role, &p.Scopes); err != nil {
			return err
		}
		f.peers[who{string(p.Kind), p.ID}] = p
		if order != nil {
			*order = append(*order, who{string(p.Kind), p.ID})
		}
	}
	return rows.Err()
}

// queueGrants queues what the peers were granted on the lists; nil stands for
// all of either.
func (f *facts) queueGrants(lists []id.ID, peers []who) {
	var users []string
	for _, p := range peers {
		users = append(users, p.id)
	}
	f.tx.Queue(selectGrants, f.tx.Family, lists, users).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var g grantee
			var verbs []policy.Verb
			if err := rows.Scan(&g.list, &g.user, &verbs); err != nil {
				return err
			}
			f.grants[g] = verbs
		}
		return rows.Err()
	})
}

// queueThings queues the page of things of q's type that begins after this key.
func (f *facts) queueThings(q question, after string, to *[]thing) {
	uuid := after
	if uuid == "" {
		uuid = beforeAll
	}
	family := f.tx.Family
	switch {
	case q.kind == policy.ListResource:
		tenant.Rows(f.tx, to, (*thing).scan, selectLists, family, uuid, chunk)
	case q.kind == policy.ItemResource && q.list.IsZero():
		tenant.Rows(f.tx, to, (*thing).scan, selectItems, family, uuid, chunk)
	case q.kind == policy.ItemResource:
		tenant.Rows(f.tx, to, (*thing).scan, selectListItems, family, uuid, chunk, q.list)
	case q.kind == policy.MemberResource:
		tenant.Rows(f.tx, to, (*thing).scan, selectMembers, family, after, chunk)
	case q.kind == policy.InvitationResource:
		tenant.Rows(f.tx, to, (*thing).scan, selectInvitations, family, uuid, chunk)
	case q.kind == policy.AppResource:
		tenant.Rows(f.tx, to, (*thing).scan, selectInstalled, family, after, chunk)
	case after == "": // a family is one thing, and so is its audit log
		*to = []thing{{id: family.String()}}
	}
}

// thing is a row of a page of resources. List, kind, owner and maker are those
// of a list, or of an item's list.
type thing struct {
	id        string
	list      id.ID
	kind      string
	owner     *string
	createdBy string
	role      policy.Role // of a member, or of an invitation
}

func (t *thing) scan(row pgx.Row) error {
	return row.Scan(&t.id, &t.list, &t.kind, &t.owner, &t.createdBy, &t.role)
}
