package bearer

import (
	"encoding/json"
	"errors"
	"net/http"

	"larder/internal/dpop"
	"larder/internal/mtls"
)

// binding says whom a token is for, by thumbprints; each that is there has to
// be shown. Its zero value is a bearer token's.
type binding struct {
	jkt string // of a key (RFC 9449 §6.1)
	x5t string // of a certificate (RFC 8705 §3.1)
}

// readBinding reads the cnf claim (RFC 7800 §3.1). A binding of another kind
// could not be checked, so the token is refused.
func readBinding(cnf json.RawMessage) (binding, error) {
	if cnf == nil {
		return binding{}, nil
	}
	var members map[string]string
	if err := json.Unmarshal(cnf, &members); err != nil {
		return binding{}, err
	}
	if len(members) == 0 {
		return binding{}, errors.New("the token is bound to nothing")
	}
	for name, thumbprint := range members {
		// Both are a SHA-256 in base64url.
		if name != "jkt" && name != "x5t#S256" || !dpop.IsThumbprint(thumbprint) {
			return binding{}, errors.New("the token is bound in a way that cannot be checked here")
		}
	}
	return binding{jkt: members["jkt"], x5t: members["x5t#S256"]}, nil
}

// checkPossession lets a bound token count only for whom it is bound to.
func (g *Gate) checkPossession(r *http.Request, c credential, bound binding) error {
	if bound.x5t != "" && mtls.Thumbprint(mtls.From(r.Context())) != bound.x5t {
		return invalid(errors.New("the token is bound to a certificate that the client has not shown"))
	}
	return g.checkProof(r, c, bound.jkt)
}
