// Package fault is how Larder says what went wrong: an error has a Kind that
// the program acts on, a message that may be shown to whoever sent the
// request, and a cause that goes to the log and nowhere else.
//
//	store, service          handler            surface
//	fault.New(NotFound) ->  return err   ->    web.Problem   (RFC 9457)
//	fault.Wrap(kind, err)                      oauth errors  (RFC 6749 §5.2)
//	any other error                            page          (HTML)
//
// Each surface maps kinds to its own vocabulary in one place. An error that
// nobody classified is Internal: a bare 500 whose cause is only logged.
package fault
