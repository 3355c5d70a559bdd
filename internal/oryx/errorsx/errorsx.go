// Package errorsx is what fosite needs of the package of that name: WithStack,
// without capturing a stack for each error that is only control flow, Cause,
// and the interfaces that describe fosite's own errors.
package errorsx

// WithStack returns err as it is.
func WithStack(err error) error { return err }

// Cause follows Cause methods to the first error.
func Cause(err error) error {
	for {
		c, ok := err.(interface{ Cause() error }) //nolint:errorlint // one step of the chain at a time is the point
		if !ok || c.Cause() == nil {
			return err
		}
		err = c.Cause()
	}
}

// The interfaces that fosite asserts its error type to implement.
type (
	StatusCodeCarrier interface{ StatusCode() int }
	RequestIDCarrier  interface{ RequestID() string }
	ReasonCarrier     interface{ Reason() string }
	DebugCarrier      interface{ Debug() string }
	StatusCarrier     interface{ Status() string }
	DetailsCarrier    interface{ Details() map[string]any }
)
