// Package invite lets people into a family.
//
//	admin   POST   /v1/families/{family_id}/invitations   the token is shown once,
//	                                                      or mailed and never shown
//	        GET    …/invitations                          what is open
//	        GET    …/invitations/{invitation_id}          one of them
//	        DELETE …/invitations/{invitation_id}          revoke
//	invitee POST   /v1/invitations/preview {token}        who invites, to what
//	        POST   /v1/invitations/accept {token, display_name}
//
//	a mail  invitation and sealed letter in one transaction -> Mails.Run on any
//	        replica: claimed, sent, deleted; put off when the server is away
//	over    the address goes with the last use, the rest within an hour of its
//	        end: Mails.SweepOver
//
// A token is the family's id and 256 random bits; only its SHA-256 is stored.
// Accepting locks the invitation's row, so that of any number who race for the
// last use one gets it. Whoever is in already uses nothing up, which makes a
// retry after a lost answer harmless. Every other way in which a token can be
// no good gets the same answer.
package invite
