// Package family is the family itself and the people in it.
//
//	POST   /v1/families                       found: the caller becomes its admin
//	GET    /v1/families                       those the caller belongs to
//	GET    /v1/families/{family_id}
//	PATCH  /v1/families/{family_id}
//	DELETE /v1/families/{family_id}           with everything in it, for good
//	GET    /v1/families/{family_id}/members
//	PATCH  …/members/{user_id}                role, name, until when
//	DELETE …/members/{user_id}                remove another, or leave
//	POST   …/members/{user_id}/transfer       he becomes admin, the caller a member
//
// A family has an admin at all times. Whatever could take away the last one
// first locks the family's row, so that two admins who demote each other at
// the same moment take turns.
package family
