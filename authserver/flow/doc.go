// Package flow parks an authorization request in Redis while the person signs
// in and consents, for 30 minutes.
//
//	/authorize --Begin--> flow id --> /login?flow=ID --> /consent?flow=ID
//	                                      |                  | Approve or Deny
//	                                      v                  v
//	                         /authorize/continue?flow=ID --Resume--> Finish
//
// The id is 256 random bits and lies in Redis as a hash. It is of use in one
// browser only: the flow remembers the device cookie of the browser that began
// it, so that a link to it sent to somebody else leads nowhere (RFC 9700
// §4.7). An approval belongs to one flow and one session. Any number of tabs
// have a flow each.
package flow
