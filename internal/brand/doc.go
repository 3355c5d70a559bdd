// Package brand is what an operator calls the service and how it looks: a name,
// an accent colour for light and for dark pages, a logo, and where to find help,
// terms and privacy notice.
//
//	settings --ParseColour, ReadLogo--> Brand --> pages: name, CSS, logo, links
//	                                          --> mails: name, accent, contact
//	                                          --> authenticator apps and passkeys: name
//
// What would make pages unreadable or unsafe is refused at start: a colour whose
// contrast is below WCAG 2.2 AA, and a drawing that could run or load something.
package brand
