// Command bench measures both services against what this machine could do at all, in the same minute.
//
//	                 ┌── limit ──> bench limit: net/http handlers that do only the named work
//	bench ── jobs ──>│ bench load: raw keep-alive connections, closed loop
//	                 └── rows ───> authserver, resourceapi: release builds, a process each
//
// Limit and service take turns within every row, so that a slow minute is slow for both. Every answer has to be a 2xx,
// or the redirect of an authorization response; anything else ends the run. A missed target is printed and does not
// change the exit code: on a shared machine a figure is a hint, and the ratio to the limit is what to compare.
package main
