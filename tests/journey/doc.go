// Package journey walks through what people do at the authserver in Chromium, each journey from its beginning to its
// end: they find their way by headings, labels and the names of buttons, read their mail, and have second factors. Every
// page that they come by is held against WCAG 2.2 AA, by axe.
//
//	TestJourneys ──> journeys.mjs ──> NAME.mjs ──> journey.mjs ── one Chromium
//	            └──> two replicas of authserver, the API, Google and Apple emulated <──┘
//
// They share the folder of scripts, its packages and the conversation with a test with tests/rp.
package journey
