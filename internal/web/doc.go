// Package web is the thin layer between net/http and the features: handlers
// that return errors, one log event per request, limits on what is read, and
// servers that drain.
//
//	Server (public listener)          Server (internal listener)
//	  Observe: request id, event,       /healthz /readyz /metrics
//	           metrics, panic -> 500
//	  Limit:   body size, headers
//	    Router (gorilla/mux)
//	      Handler func(w, r) error
//	        error -> the router's ErrorWriter (Problem, or a feature's own)
//
// A Router has one ErrorWriter; a surface that answers differently (OAuth
// JSON, HTML pages) is another Router over the same mux, made by With.
package web
