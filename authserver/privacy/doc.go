// Package privacy gives people their data and lets them take it away (GDPR
// articles 15, 17 and 20).
//
//	GET  /account/privacy
//	POST /account/privacy  download: password -> everything we hold, as JSON
//	                       delete:   password -> signed out everywhere; the
//	                                 account goes when its grace is over
//	                       keep:     the account stays
//
// What other features keep of a person they add to the download themselves,
// through Handler.More.
package privacy
