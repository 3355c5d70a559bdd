// Package outbound sends requests to addresses that somebody else chose, such
// as webhooks and key sets, without letting them choose our own network.
//
//	URL -> https, no user, no fragment            CheckURL, before anything is kept
//	    -> name resolved -> dial an address -> is it public? refused otherwise
//	    -> no redirect is followed, no proxy asked; time and answer are bounded
//
// Addresses are judged as they are dialled, after the name was resolved, so that
// neither an odd spelling of 127.0.0.1 nor a name that resolves differently the
// second time gets past.
package outbound
