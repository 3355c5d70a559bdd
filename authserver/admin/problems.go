package admin

import (
	"io"
	"net/http"

	"larder/internal/fault"
	"larder/internal/web"
)

// meanings are those of the codes with which the admin API answers.
func meanings() map[string]string {
	return map[string]string{
		"client_id_taken":                  "Another client has this client_id.",
		"email_taken":                      "Another account has this e-mail address.",
		"if_match_required":                "Send the ETag of what you read in If-Match.",
		"insufficient_user_authentication": "An operator signs in with a second factor (RFC 9470): send the person to /authorize with the acr_values of the challenge.",
		"invalid_client_metadata":          "The metadata of the client contradicts itself or the rules; errors points at each fault.",
		"invalid_email":                    "This is not an e-mail address that mail can be sent to.",
		"key_active":                       "The key signs tokens now. Rotate first.",
		"not_an_operator":                  "The admin API is for operators, and for clients with the scope admin.",
		"stale":                            "It has changed since you read it. Read it again, then decide.",
		"weak_password":                    "The password is too short, too easy to guess, or known from a leak; the detail says which.",
	}
}

// MountProblems adds the pages to which the types of problems lead
// (RFC 9457 §3.1.1).
func MountProblems(rt *web.Router) {
	rt.Handle(http.MethodGet, "/problems/{code}", func(w http.ResponseWriter, r *http.Request) error {
		code := web.Var(r, "code")
		meaning := meanings()[code]
		if meaning == "" {
			return fault.New(fault.NotFound, "There is no such problem here.")
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, err := io.WriteString(w, code+"\n\n"+meaning+"\n")
		return err
	})
}
