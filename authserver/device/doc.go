// Package device lets people sign in on things without a browser or a keyboard
// (RFC 8628): a smart fridge or a command line shows a short code, and a person
// types it on a phone.
//
//	device: POST /device_authorization -> Begin      (package oauth; user code, device code)
//	person: GET  /device               -> a field for the code; ?user_code= fills it in, no more
//	        POST /device action=verify -> Find, a flow of this browser -> /authorize/continue
//	             -> /login if need be -> GET /device?flow=ID: who asks, for what, from where
//	        POST /device action=allow|deny -> Approve or Deny
//	device: POST /token, every 5 s     -> Poll       (package oauth)
//
// The danger is a stranger who sends somebody a code of his own to approve. So
// nothing is ever submitted by itself, the link that carries the code included;
// the last page names the application and what it will be able to do, says
// where and when it asked, and warns.
//
// A device code has 256 bits and lies in Redis as its hash, with everything
// else about it; a user code has 8 consonants, 34.6 bits, and finds it for ten
// minutes. Wrong guesses are counted for each network and each account. One
// script decides each step, so that a device code is good once whatever comes
// at the same time.
package device
