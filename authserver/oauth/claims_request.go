package oauth

import (
	"encoding/json"
	"maps"
	"slices"

	"larder/authserver/oidc"
)

const (
	maxClaimsBytes = 8 << 10
	maxAskedClaims = 100 // in each of the two places
)

// claimNames are the claims about the person that a request asked for one by
// one, by where they are to stand. They are kept with the grant.
type claimNames struct {
	IDToken  []string `json:"id_token,omitempty"`
	Userinfo []string `json:"userinfo,omitempty"`
}

// claimsRequest is the claims parameter (OpenID Connect Core §5.5). Of a claim
// about the person it matters only that it was asked for: we know one value of
// each, and that one is told whether it was essential or not and whatever the
// client expected (§5.5.1). The value counts for sub and acr, which the sign-in
// has to meet.
type claimsRequest struct {
	names        claimNames
	subjects     []string // who may sign in; empty for anybody
	acr          []string // in the client's order of preference
	acrEssential bool
}

// claimDemand is what is wanted of one claim; null asks for it as it is.
type claimDemand struct {
	Essential bool  `json:"essential"`
	Value     any   `json:"value"`
	Values    []any `json:"values"`
}

// texts are the values that would do, as far as they are strings.
func (d *claimDemand) texts() []string {
	if d == nil {
		return nil
	}
	var texts []string
	for _, value := range append([]any{d.Value}, d.Values...) {
		if text, ok := value.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// parseClaims reads the parameter. Members and claims that we do not know are
// ignored (§5.5).
func parseClaims(raw string) (*claimsRequest, error) {
	malformed := newError(invalidRequest, "The parameter 'claims' is not a JSON object as OpenID Connect Core section 5.5 has it.")
	if len(raw) > maxClaimsBytes {
		return nil, newError(invalidRequest, "The parameter 'claims' may have 8192 bytes.")
	}
	var asked struct {
		Userinfo map[string]*claimDemand `json:"userinfo"`
		IDToken  map[string]*claimDemand `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(raw), &asked); err != nil {
		return nil, malformed.because(err)
	}
	if len(asked.Userinfo) > maxAskedClaims || len(asked.IDToken) > maxAskedClaims {
		return nil, newError(invalidRequest, "The parameter 'claims' may ask for 100 claims in each place.")
	}
	c := &claimsRequest{names: claimNames{IDToken: personNames(asked.IDToken), Userinfo: personNames(asked.Userinfo)}}
	for _, place := range []map[string]*claimDemand{asked.IDToken, asked.Userinfo} {
		subjects := place["sub"].texts()
		if c.subjects == nil {
			c.subjects = subjects
		} else if subjects != nil && !slices.Equal(c.subjects, subjects) {
			return nil, newError(invalidRequest, "The parameter 'claims' wants two people at once.")
		}
	}
	if demand := asked.IDToken["acr"]; demand != nil {
		c.acr, c.acrEssential = demand.texts(), demand.Essential
	}
	return c, nil
}

// personNames are the standard claims among those asked for, in a fixed order.
func personNames(asked map[string]*claimDemand) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if scopeOfClaim(name) != "" {
			names = append(names, name)
		}
	}
	return names
}

// within leaves the claims that lie below the scopes.
func within(names, scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(scopes, scopeOfClaim(name)) })
}

// beyond leaves the claims that the scopes do not give anyway.
func beyond(names, scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(scopes, scopeOfClaim(name)) })
}

// limit takes away what the client may not ask for by any scope, and what needs
// the openid scope if that is missing.
func (c *claimsRequest) limit(client *oidc.Client, scopes []string) {
	ceiling := oidc.SplitScope(client.Metadata.Scope)
	if !slices.Contains(scopes, oidc.ScopeOpenID) {
		*c = claimsRequest{}
	}
	c.names.IDToken, c.names.Userinfo = within(c.names.IDToken, ceiling), within(c.names.Userinfo, ceiling)
}

// consentScopes are what the person has to agree to: the scopes, and each claim
// that reaches further than they do.
func (a *authorization) consentScopes() []string {
	scopes := slices.Clone(a.scopes)
	for _, name := range beyond(slices.Concat(a.claims.names.IDToken, a.claims.names.Userinfo), a.scopes) {
		if scope := oidc.ClaimScope(name); !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}
