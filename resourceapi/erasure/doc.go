// Package erasure forgets people whose accounts were deleted, when the identity
// provider says so (GDPR article 17).
//
//	POST /v1/erasures {"user_id"}   with a token that the issuer made for itself
//
//	  each family that the person is or was in, a transaction each
//	    the only admin?  -> the member who is in it longest becomes admin;
//	                        where there is none, the family ends
//	    his membership, personal lists, diet and grants go
//	    what he made for the family stays, made by user:deleted
//
// It may be said again at any time, such as after a restore: what is gone
// already stays gone. The audit log keeps the id, which stands for nobody any
// more (docs/decisions/0058).
package erasure
