// Package page turns data into the authserver's HTML pages. Everything that a
// person sees goes through one Renderer:
//
//	handler --data--> Render(name) --buffer--> headers + body
//	handler --error-> Error -------kind------> the error page (a web.ErrorWriter)
//
// A template is parsed when its page is first asked for and rendered to a
// buffer, so that a defect in one is a whole error page and never half a page. Every page carries
// a Content-Security-Policy that loads our stylesheet by nonce and forbids
// framing (RFC 6749 §10.13, RFC 9700 §4.16). It runs no script but two of ours,
// by nonce too: that of passkeys on a page whose template defines
// "passkey-script", and what makes forms nicer on one with "form-script".
package page
