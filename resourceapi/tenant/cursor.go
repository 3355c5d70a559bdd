package tenant

import (
	"errors"
	"fmt"
	"time"
)

// Cursor is how far somebody has followed the change feed of a family: past
// change Seq of transaction Tx and everything before. It grants nothing; what
// it leads to is read with the rights of whoever presents it.
type Cursor struct {
	Tx    uint64
	Seq   int64
	At    time.Time // when; feeds forget
	Reach uint32    // a digest of what its holder could see then
}

// IsZero reports whether c is no cursor.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// String is what clients keep: c in four numbers.
func (c Cursor) String() string {
	return fmt.Sprintf("%d-%d-%d-%08x", c.Tx, c.Seq, c.At.Unix(), c.Reach)
}

const maxCursor = 64 // characters

// ParseCursor reads what String wrote, and nothing that is only like it.
func ParseCursor(s string) (Cursor, error) {
	var c Cursor
	var at int64
	if len(s) > maxCursor {
		return Cursor{}, errCursor
	}
	if n, err := fmt.Sscanf(s, "%d-%d-%d-%08x", &c.Tx, &c.Seq, &at, &c.Reach); err != nil || n != 4 {
		return Cursor{}, errCursor
	}
	if c.At = time.Unix(at, 0).UTC(); c.IsZero() || c.String() != s {
		return Cursor{}, errCursor
	}
	return c, nil
}

var errCursor = errors.New("not a cursor of a change feed")

func (c Cursor) before(other Cursor) bool {
	return c.Tx < other.Tx || c.Tx == other.Tx && c.Seq < other.Seq
}
