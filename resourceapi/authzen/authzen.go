package authzen

import (
	"context"
	"net/http"

	"larder/internal/paging"
	"larder/internal/web"
	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	evaluationPath     = "/access/v1/evaluation"
	evaluationsPath    = "/access/v1/evaluations"
	searchSubjectPath  = "/access/v1/search/subject"
	searchResourcePath = "/access/v1/search/resource"
	searchActionPath   = "/access/v1/search/action"
)

// Decisions answers questions about rights.
type Decisions struct {
	DB      *tenant.DB
	Cursors paging.Signer
}

// Mount adds the routes that take a credential.
func (h *Decisions) Mount(rt *web.Router) {
	rt.Handle(http.MethodPost, evaluationPath, h.evaluation)
	rt.Handle(http.MethodPost, evaluationsPath, h.evaluations)
	rt.Handle(http.MethodPost, searchSubjectPath, h.searchSubject)
	rt.Handle(http.MethodPost, searchResourcePath, h.searchResource)
	rt.Handle(http.MethodPost, searchActionPath, h.searchAction)
}

// configuration is the document of AuthZEN 1.0 §9.
type configuration struct {
	PolicyDecisionPoint       string `json:"policy_decision_point"`
	AccessEvaluationEndpoint  string `json:"access_evaluation_endpoint"`
	AccessEvaluationsEndpoint string `json:"access_evaluations_endpoint"`
	SearchSubjectEndpoint     string `json:"search_subject_endpoint"`
	SearchResourceEndpoint    string `json:"search_resource_endpoint"`
	SearchActionEndpoint      string `json:"search_action_endpoint"`
}

// MountConfiguration serves where the endpoints of the API at this address are.
func MountConfiguration(rt *web.Router, address string) {
	doc := configuration{
		address, address + evaluationPath, address + evaluationsPath,
		address + searchSubjectPath, address + searchResourcePath, address + searchActionPath,
	}
	rt.Handle(http.MethodGet, "/.well-known/authzen-configuration", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		return web.JSON(w, http.StatusOK, doc)
	})
}

// decision is the answer of §6.2. Context says why not, and what would help.
type decision struct {
	Decision bool     `json:"decision"`
	Context  *because `json:"context,omitempty"`
}

type because struct {
	Policies  []string `json:"policies,omitempty"`
	Reason    string   `json:"reason"`
	Remedy    string   `json:"remedy,omitempty"`
	Scope     string   `json:"scope,omitempty"`      // that the token lacks
	ACRValues []string `json:"acr_values,omitempty"` // to sign in with (RFC 9470)
	MaxAge    int      `json:"max_age,omitempty"`    // seconds
	Error     *failure `json:"error,omitempty"`      // of a question that makes no sense
}

// failure is what is wrong with one question of several (§7.2.1).
type failure struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

func rendered(d policy.Decision) decision {
	if d.Allowed {
		return decision{Decision: true}
	}
	b := &because{Policies: d.Policies, Reason: d.Reason, Remedy: d.Remedy, Scope: d.MissingScope}
	if d.StepUp != nil {
		b.ACRValues, b.MaxAge = d.StepUp.ACRValues, int(d.StepUp.MaxAge.Seconds())
	}
	return decision{Context: b}
}

// no is an answer that no policy gave.
func no(reason string) decision { return decision{Context: &because{Reason: reason}} }

// absent is the answer for what is not there, or not for the caller to know.
func absent() decision { return no("There is no such thing here.") }

func (h *Decisions) evaluation(w http.ResponseWriter, r *http.Request) error {
	var t tuple
	if err := decode(r, &t); err != nil {
		return err
	}
	return h.single(w, r, t)
}

func (h *Decisions) single(w http.ResponseWriter, r *http.Request, t tuple) error {
	q, err := t.read(nothing)
	if err != nil {
		return err
	}
	answers, err := h.answer(r.Context(), []question{q})
	if err != nil {
		return err
	}
	return answered(w, answers[0])
}

func (h *Decisions) evaluations(w http.ResponseWriter, r *http.Request) error {
	var b batch
	if err := decode(r, &b); err != nil {
		return err
	}
	questions, faults, err := b.read()
	if err != nil {
		return err
	}
	if len(questions) == 0 { // §7.1: then it is a single one
		return h.single(w, r, b.tuple)
	}
	answers, err := h.answer(r.Context(), questions)
	if err != nil {
		return err
	}
	for i, err := range faults {
		if err != nil {
			answers[i] = no("The question makes no sense.")
			answers[i].Context.Error = &failure{http.StatusBadRequest, words(err)}
		}
	}
	return answered(w, map[string]any{"evaluations": b.untilDecided(answers)})
}

// untilDecided is all of the answers, or those up to the one that ends the batch.
func (b *batch) untilDecided(answers []decision) []decision {
	if b.Options.Semantic == nil || *b.Options.Semantic == executeAll {
		return answers
	}
	for i, a := range answers {
		if a.Decision == (*b.Options.Semantic == permitOnFirstAllow) {
			return answers[:i+1]
		}
	}
	return answers
}

func answered(w http.ResponseWriter, v any) error {
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusOK, v)
}

// himself is the caller as a subject.
func himself(ctx context.Context) who {
	c := bearer.From(ctx)
	if c.Kind == bearer.App {
		return who{string(c.Kind), c.ClientID}
	}
	return who{string(c.Kind), c.Subject}
}
