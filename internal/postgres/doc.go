// Package postgres is how both services use PostgreSQL: a pool whose role is
// checked at start, transactions, one translation of driver errors into fault
// kinds, and migrations.
//
//	Open ----> pool of a runtime role: not superuser, no BYPASSRLS, owns nothing
//	InTx ----> begin, f(tx), commit; any error rolls back
//	Translate  pgx and network errors -> fault.NotFound, Conflict, Unavailable …
//	Migrate    goose steps of one schema, as the owner, under an advisory lock
//
// SQL stands as constants in each feature's store.go, with its columns
// enumerated.
package postgres
