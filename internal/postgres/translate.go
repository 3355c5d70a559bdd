package postgres

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"larder/internal/fault"
)

// Translate classifies an error of pgx: no rows is NotFound, a broken
// constraint Conflict or Invalid, a server that is gone, starting, full or too
// slow Unavailable. Errors already classified and nil pass unchanged; the rest
// stay Internal.
func Translate(err error) error {
	var known *fault.Error
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, pgx.ErrNoRows):
		return fault.Wrap(fault.NotFound, "There is no such thing here.", err)
	case errors.As(err, &pg):
		return translateState(pg, err)
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, net.ErrClosed), pgconn.SafeToRetry(err), pgconn.Timeout(err),
		strings.Contains(err.Error(), "unexpected EOF"), strings.Contains(err.Error(), "conn closed"):
		return unavailable(err)
	}
	return err
}

// translateState maps SQLSTATE codes (PostgreSQL manual, appendix A).
func translateState(pg *pgconn.PgError, err error) error {
	switch pg.Code {
	case "23505", "23P01": // unique_violation, exclusion_violation
		return fault.Wrap(fault.Conflict, "Something with this name or id exists already.", err)
	case "23503": // foreign_key_violation
		return fault.Wrap(fault.Conflict, "It refers to something that does not exist.", err)
	case "23502", "23514", "22001", "22P02", "22003", "22P05", "22021": // null, check, length, syntax, range, characters
		return fault.Wrap(fault.Invalid, "A value is not allowed.", err)
	case "40001", "40P01", "55P03", "57014": // serialization_failure, deadlock, lock and statement timeout
		return unavailable(err)
	case "25006": // read_only_sql_transaction: a failed-over primary
		return unavailable(err)
	}
	switch pg.Code[:2] {
	case "08", "53", "57", "58": // connection, resources, operator intervention, system
		return unavailable(err)
	}
	return err
}

func unavailable(err error) error {
	return fault.Wrap(fault.Unavailable, "The service cannot reach its data right now. Please try again.", err)
}
