// Package personkey lets people make API keys of their own, on /account/keys. A
// key acts as the person who made it, in one family and with some scopes. What it
// may do there is still decided by what the person may do at that moment: the API
// reads the membership afresh, and the scopes are a ceiling.
//
//	GET  /account/keys                 the keys, where and when they were last used
//	POST /account/keys  create         a recent sign-in, and the second factor where
//	       |                           there is one
//	       |- Families.Of ──> the API  the families that the person is in
//	       '─ shown this once          (+ audit, a mail)
//	                    revoke         here at once, at the API within seconds
//	Run: a mail a week before a key expires
//
// Keys lie in auth.api_keys, where package apikey judges them. They end with the
// account, when it is disabled or about to be deleted, and when its password
// changes: package account sees to that (docs/decisions/0075).
package personkey
