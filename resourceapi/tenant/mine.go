package tenant

import (
	"slices"

	"larder/internal/id"
	"larder/resourceapi/policy"
)

// Membership is what the caller is in one of the families that Mine shows him.
type Membership struct {
	Family   id.ID
	Role     string   // of a person
	Granted  []string // scopes of the installation, for an app
	Timezone string
	Rules    []byte
}

// Within is tx as if it had entered that family, to ask Permitted and nothing
// else.
func (tx *Tx) Within(m Membership) (*Tx, error) {
	inside := &Tx{
		Caller: tx.Caller, Family: m.Family, db: tx.db, source: tx.source,
		scopes: tx.Caller.Scopes, role: policy.Role(m.Role), standing: standing(m.Role),
	}
	switch kindOf(tx.Caller) {
	case policy.User:
	case policy.App:
		inside.standing, inside.scopes = asApp, within(tx.Caller.Scopes, m.Granted)
	case policy.APIKey:
		inside.standing = asKey
	}
	return inside, inside.settle(m.Timezone, m.Rules)
}

// within are the scopes of a token that an installation grants, too.
func within(scopes, granted []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !slices.Contains(granted, s) })
}
