package tenant

import (
	"context"

	"larder/resourceapi/policy"
)

// Peer is somebody else of the family, whom the caller asks about.
type Peer struct {
	Kind   policy.Kind
	ID     string
	Role   policy.Role // of a person
	Scopes []string    // of an app, what it was installed for
}

// Suppose is Judge about a peer. How he would come is not known, so it is
// supposed to be well: at home, on a device that is known, with all the scopes
// that he can have, a moment after a sign-in with a second factor. What the
// family's rules say of the hour holds. The grants of the resource are to be his.
func (tx *Tx) Suppose(ctx context.Context, who Peer, action policy.Action, resource policy.Resource) policy.Decision {
	tx.asked = true
	p := policy.Principal{Kind: who.Kind, ID: who.ID, Family: tx.Family, Role: who.Role, Scopes: who.Scopes}
	if who.Kind == policy.User {
		p.Scopes = policy.Scopes()
	}
	c := policy.UnknownContext(tx.db.Now())
	c.AuthTime, c.ACR = c.Now, policy.TwoFactors
	c.Place, c.Device, c.RiskScore = policy.Home, policy.KnownDevice, policy.RiskOf("low")
	if tx.house.zone != nil {
		c.Zone = tx.house.zone
	}
	c.Rules = tx.house.bearing(p, action, c)
	return tx.db.Authorizer.Authorize(ctx, policy.Request{Principal: p, Action: action, Resource: resource, Context: c})
}
