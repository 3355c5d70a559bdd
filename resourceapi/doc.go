// Command resourceapi is Larder's grocery API: families, their members, lists
// and items, for people, installed apps and API keys.
//
//	request -> web.Observer (id, log event, metrics, panic)
//	  -> headers, CORS
//	  -> /healthz /readyz /docs /openapi.json /.well-known/…
//	  -> /v1, /access/v1: bearer.Gate (who)
//	       -> quota (how often), idempotency (once, if asked)
//	       -> feature handler: decode, call, render
//	            -> tenant.DB: row-level security context, policy (may he), feed, audit
//
// main.go handles signals and arguments, config.go the environment, server.go
// puts the features together; each feature has a package of its own.
package main
