// Package register lets people make an account of their own.
//
//	GET  /register           name, e-mail address, password
//	POST /register           register: hash the password, leave a link and a job
//	                         resend:   a new link in place of the old one
//	     job                 the address is free  -> mail with the link
//	                         it has an account    -> mail that says so
//	GET  /register/{token}   what the link is about; changes nothing
//	POST /register/{token}   verify: spend the link, make the account
//	                         -> /login, with the flow that the person came from
//
// There is no account before its address is verified: whoever registers with
// somebody else's address has nothing, and holds nothing up. Whether an address
// has an account is looked up by the job, so the page says and takes the same
// whatever the answer is.
package register
