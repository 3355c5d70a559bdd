package fault

import (
	"errors"
	"time"
)

// Kind classifies an error by what the caller can do about it.
type Kind int

// The kinds, from what nobody foresaw to what the caller can mend.
const (
	Internal           Kind = iota // a defect of ours; nothing the caller can do
	Unavailable                    // a dependency is gone for now; retry later
	Invalid                        // the request is malformed or breaks a rule
	Unauthenticated                // nobody, or nobody we believe
	Forbidden                      // known, and may not
	NotFound                       // absent, or not to be known of
	Conflict                       // contradicts the present state
	PreconditionFailed             // If-Match did not match
	PreconditionNeeded             // If-Match is missing
	TooLarge                       // body, depth or count over the limit
	AddressTooLong                 // the request's, over the limit
	HeadersTooLarge                // the request's, over the limit
	UnsupportedMedia               // Content-Type is not one we read
	MethodNotAllowed               // the path exists, the method does not
	RateLimited                    // too often; retry after a while
	Unprocessable                  // well formed, but it cannot be what is meant
)

// Field is one fault in one part of the request, addressed by a JSON pointer
// (RFC 6901) into the body or by a parameter's name.
type Field struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// Error is a classified error. Message is safe to show to the sender of the
// request; cause is not.
type Error struct {
	Kind       Kind
	Code       string // a stable word for programs, such as "last_admin"; may be empty
	Message    string
	Fields     []Field
	Refusal    *Refusal      // by a policy; nil where none spoke
	RetryAfter time.Duration // for Unavailable and RateLimited; 0 lets the surface choose
	cause      error
}

// Refusal is a policy's no.
type Refusal struct {
	Policy string `json:"policy,omitempty"` // its @id, or what decided when no policy did
	Reason string `json:"reason,omitempty"`
	Remedy string `json:"remedy,omitempty"` // what would help
}

// New returns an error of the given kind with a message for the caller.
func New(kind Kind, message string) *Error {
	return &Error{Kind: kind, Message: message}
}

// Wrap returns an error of the given kind with a message for the caller and a
// cause for the log.
func Wrap(kind Kind, message string, cause error) *Error {
	return &Error{Kind: kind, Message: message, cause: cause}
}

// WithCode returns a copy of e that carries a stable word for programs.
func (e *Error) WithCode(code string) *Error {
	c := *e
	c.Code = code
	return &c
}

// WithRefusal returns a copy of e that tells of the policy behind it.
func (e *Error) WithRefusal(r Refusal) *Error {
	c := *e
	c.Refusal = &r
	return &c
}

// WithFields returns a copy of e that names the offending parts.
func (e *Error) WithFields(fields ...Field) *Error {
	c := *e
	c.Fields = fields
	return &c
}

// Error is for the log: the message and, behind it, the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.cause }

// KindOf reports the kind of err: that of the outermost *Error in its chain,
// Internal for any other error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
