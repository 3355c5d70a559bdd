package page

import (
	"log/slog"
	"net/http"

	"larder/internal/fault"
	"larder/internal/web"
)

// signInOver is the code of a flow that has ended: people come to it by Back, and
// something was there.
const signInOver = "sign_in_over"

// wording is how a kind of error is put to a person.
type wording struct {
	title   string
	message string // when the error brings none of its own
	advice  string
}

// Error answers with the error page; it is a web.ErrorWriter. A message that
// the error may show is shown, escaped; the cause never is.
func (p *Renderer) Error(w http.ResponseWriter, r *http.Request, err error) {
	say := wordingOf(fault.KindOf(err))
	message := say.message
	if e, ok := web.Shown(err); ok && e.Message != "" {
		message = e.Message
		if e.Code == signInOver {
			say.title = "This sign-in is over"
		}
	}
	web.SetRetryAfter(w, err)
	failed := p.Render(w, r, web.Status(err), "error", struct{ Title, Message, Advice, RequestID string }{
		say.title, message, say.advice, web.RequestID(r.Context()),
	})
	if failed != nil {
		web.Annotate(r.Context(), slog.String("page_error", failed.Error()))
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func wordingOf(kind fault.Kind) wording {
	switch kind {
	case fault.Invalid, fault.Unprocessable, fault.TooLarge, fault.UnsupportedMedia, fault.PreconditionFailed, fault.PreconditionNeeded,
		fault.AddressTooLong, fault.HeadersTooLarge:
		return wording{
			title:   "This request does not work",
			message: "The request is not one that we understand.",
			advice:  "Go back to the app that you came from and try again. If it happens again, tell the people who make that app.",
		}
	case fault.Unauthenticated:
		return wording{
			title:   "Please sign in",
			message: "You need to be signed in for this.",
			advice:  "Go back to the app that you came from and start again.",
		}
	case fault.Forbidden:
		return wording{
			title:   "This is not allowed",
			message: "You may not do this.",
			advice:  "If you came here by a link, close this page. Otherwise go back and try again.",
		}
	case fault.NotFound:
		return wording{
			title:   "There is nothing here",
			message: "There is nothing at this address.",
			advice:  "Go back to the app that you came from and start again.",
		}
	case fault.MethodNotAllowed:
		return wording{
			title:   "This request does not work",
			message: "This address does not take this kind of request.",
			advice:  "Go back to the app that you came from and start again.",
		}
	case fault.Conflict:
		return wording{
			title:   "Something changed meanwhile",
			message: "This contradicts what is there now.",
			advice:  "Load the page again and look before you go on.",
		}
	case fault.RateLimited:
		return wording{
			title:   "Too many tries",
			message: "This was tried too often.",
			advice:  "Wait a little and try again.",
		}
	case fault.Unavailable:
		return wording{
			title:   "We will be right back",
			message: "The service cannot answer right now.",
			advice:  "Nothing is lost. Wait a few seconds and load the page again.",
		}
	case fault.Internal:
	}
	return wording{
		title:   "Something went wrong",
		message: "Something went wrong on our side.",
		advice:  "It is not your fault. Please try again in a moment.",
	}
}
