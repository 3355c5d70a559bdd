package id

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// ID is a UUID. Its zero value is the nil UUID and stands for "none".
type ID uuid.UUID

// New returns a fresh UUID version 7.
func New() ID { return ID(uuid.Must(uuid.NewV7())) }

// ErrMalformed says that a text is no UUID in canonical form.
var ErrMalformed = errors.New("not a UUID")

// Parse reads a UUID in canonical form: 36 characters, lower or upper case.
// Anything else is ErrMalformed.
func Parse(s string) (ID, error) {
	if len(s) != 36 {
		return ID{}, ErrMalformed
	}
	u, err := uuid.Parse(s)
	if err != nil {
		return ID{}, ErrMalformed
	}
	return ID(u), nil
}

// String returns the canonical lower-case form.
func (i ID) String() string { return uuid.UUID(i).String() }

// IsZero reports whether i is the nil UUID.
func (i ID) IsZero() bool { return i == ID{} }

// MarshalText writes the canonical form; JSON uses it too.
func (i ID) MarshalText() ([]byte, error) { return uuid.UUID(i).MarshalText() }

// AppendText is MarshalText behind b, without an allocation of its own.
func (i ID) AppendText(b []byte) ([]byte, error) {
	b = append(hex.AppendEncode(b, i[:4]), '-')
	b = append(hex.AppendEncode(b, i[4:6]), '-')
	b = append(hex.AppendEncode(b, i[6:8]), '-')
	b = append(hex.AppendEncode(b, i[8:10]), '-')
	return hex.AppendEncode(b, i[10:]), nil
}

// UnmarshalText reads what Parse reads.
func (i *ID) UnmarshalText(b []byte) error {
	parsed, err := Parse(strings.TrimSpace(string(b)))
	if err != nil {
		return err
	}
	*i = parsed
	return nil
}

// ScanUUID lets pgx read a uuid column; NULL reads as the nil UUID.
func (i *ID) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		*i = ID{}
		return nil
	}
	*i = v.Bytes
	return nil
}

// UUIDValue lets pgx write a uuid parameter; the nil UUID writes as NULL.
func (i ID) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: i, Valid: !i.IsZero()}, nil
}
