package dpop

import (
	"errors"

	"larder/internal/fault"
)

// The error codes of RFC 9449, in fault.Error.Code.
const (
	CodeInvalidProof = "invalid_dpop_proof" // §5
	CodeUseNonce     = "use_dpop_nonce"     // §8, §9
)

// ErrWrongKey lies behind the refusal of a good proof whose key is not the one
// that Expect.Thumbprint names. The token endpoint calls that invalid_grant,
// a resource server invalid_token.
var ErrWrongKey = errors.New("dpop: the key is not the bound one")

func invalid(message string) error {
	return fault.New(fault.Invalid, message).WithCode(CodeInvalidProof)
}

func invalidBecause(message string, cause error) error {
	return fault.Wrap(fault.Invalid, message, cause).WithCode(CodeInvalidProof)
}
