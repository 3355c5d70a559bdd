// Package valid checks what a request's body says and reports every fault at
// once, each with its JSON pointer (RFC 6901).
//
//	var f valid.Form
//	name := f.Text("/name", body.Name, 1, 200)
//	if err := f.Err(); err != nil { return err }
//
// Parameter is for the one fault of a query. Field tells a member that is absent from one that is null, as a JSON merge
// patch (RFC 7396) needs.
package valid
