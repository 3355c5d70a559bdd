// Package mtls finds out which certificate a client has shown, and what it says
// of its subject (RFC 8705). Whether anything follows from it is for whoever
// asks.
//
//	our own TLS listener, which asks for certificates ----.
//	                                                      v
//	                                    Handler: Chain in the request's context
//	                                                      ^
//	Client-Cert, Client-Cert-Chain (RFC 9440) ------------'
//	  from a listed proxy; from anybody else they are taken away
//
//	Thumbprint   the cnf of a bound token (§3.1)
//	Subject      one name that a registered client's certificate must bear (§2.1.2)
package mtls
