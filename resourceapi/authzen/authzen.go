package authzen

import (
	"net/http"

	"larder/internal/fault"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	evaluationPath  = "/access/v1/evaluation"
	evaluationsPath = "/access/v1/evaluations"
	searchPath      = "/access/v1/search/action"
)

// Decisions answers questions about the caller's rights.
type Decisions struct {
	DB *tenant.DB
}

// Mount adds the routes that take a credential.
func (h *Decisions) Mount(rt *web.Router) {
	rt.Handle(http.MethodPost, evaluationPath, h.evaluation)
	rt.Handle(http.MethodPost, evaluationsPath, h.evaluations)
	rt.Handle(http.MethodPost, searchPath, h.searchAction)
}

// configuration is the document of AuthZEN 1.0 §9.
type configuration struct {
	PolicyDecisionPoint       string `json:"policy_decision_point"`
	AccessEvaluationEndpoint  string `json:"access_evaluation_endpoint"`
	AccessEvaluationsEndpoint string `json:"access_evaluations_endpoint"`
	SearchActionEndpoint      string `json:"search_action_endpoint"`
}

// MountConfiguration serves where the endpoints of the API at this address are.
func MountConfiguration(rt *web.Router, address string) {
	doc := configuration{address, address + evaluationPath, address + evaluationsPath, address + searchPath}
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

func (h *Decisions) evaluation(w http.ResponseWriter, r *http.Request) error {
	var t tuple
	if err := web.DecodeJSON(r, &t); err != nil {
		return err
	}
	var f valid.Form
	q := t.readAction(&f, "")
	if err := f.Err(); err != nil {
		return err
	}
	if err := himself(r, t.Subject); err != nil {
		return err
	}
	answers, err := h.answer(r.Context(), []question{q})
	if err != nil {
		return err
	}
	return answered(w, rendered(answers[0]))
}

func (h *Decisions) evaluations(w http.ResponseWriter, r *http.Request) error {
	var b batch
	if err := web.DecodeJSON(r, &b); err != nil {
		return err
	}
	if len(b.Evaluations) == 0 { // §7.1: then it is a single one
		b.Evaluations = []tuple{{}}
	}
	questions, err := b.read()
	if err != nil {
		return err
	}
	for _, t := range b.Evaluations {
		if err := himself(r, t.Subject); err != nil {
			return err
		}
	}
	answers, err := h.answer(r.Context(), questions)
	if err != nil {
		return err
	}
	all := make([]decision, 0, len(answers))
	for _, d := range answers {
		all = append(all, rendered(d))
		if d.Allowed && b.Options.Semantic == permitOnFirstAllow || !d.Allowed && b.Options.Semantic == denyOnFirstDeny {
			break
		}
	}
	return answered(w, map[string]any{"evaluations": all})
}

// searchAction answers what the caller may do with one thing (§8.3).
func (h *Decisions) searchAction(w http.ResponseWriter, r *http.Request) error {
	var t tuple
	if err := web.DecodeJSON(r, &t); err != nil {
		return err
	}
	var f valid.Form
	q := t.read(&f, "")
	if err := f.Err(); err != nil {
		return err
	}
	if err := himself(r, t.Subject); err != nil {
		return err
	}
	var questions []question
	for _, a := range policy.Actions() {
		if kind, _ := policy.ResourceOf(a); kind == types()[q.resource.Type] {
			q.action = a
			questions = append(questions, q)
		}
	}
	answers, err := h.answer(r.Context(), questions)
	if err != nil {
		return err
	}
	results := []map[string]policy.Action{}
	for i, d := range answers {
		if d.Allowed {
			results = append(results, map[string]policy.Action{"name": questions[i].action})
		}
	}
	return answered(w, map[string]any{"results": results})
}

func answered(w http.ResponseWriter, v any) error {
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusOK, v)
}

// himself refuses a question about anybody but the caller.
func himself(r *http.Request, about *subject) error {
	c := bearer.From(r.Context())
	name := c.Subject
	if c.Kind == bearer.App {
		name = c.ClientID
	}
	if about.Type == string(c.Kind) && about.ID == name {
		return nil
	}
	return fault.New(fault.Forbidden, "You may ask about yourself: "+string(c.Kind)+" "+name+".").WithCode("other_subject")
}
