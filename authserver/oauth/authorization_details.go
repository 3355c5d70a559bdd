package oauth

import (
	"slices"

	"larder/authserver/oidc"
)

// invalidAuthorizationDetails is RFC 9396 §5.
const invalidAuthorizationDetails = "invalid_authorization_details"

const detailsParameter = "authorization_details"

// askedDetails reads the parameter authorization_details (RFC 9396 §2), nil
// without one: each must be of a type that the client is registered for, and at
// a place that it may reach.
func (p *Provider) askedDetails(f form, client *oidc.Client) ([]oidc.AuthorizationDetail, error) {
	if !f.has(detailsParameter) {
		return nil, nil
	}
	asked, err := oidc.ReadAuthorizationDetails(f.get(detailsParameter), p.Now())
	if err != nil {
		return nil, newError(invalidAuthorizationDetails, "The parameter 'authorization_details' is not acceptable: "+err.Error()+".")
	}
	for _, d := range asked {
		if !slices.Contains(client.Metadata.AuthorizationDetailsTypes, d.Type) {
			return nil, newError(invalidAuthorizationDetails, "The client is not registered for this type of authorization details.")
		}
		if !subset(d.Locations, client.Metadata.Resources) {
			return nil, newError(invalidAuthorizationDetails, "The client may not reach one of the locations.")
		}
	}
	return asked, nil
}

// narrowedDetails are the authorization details of a token out of a grant that
// has these: all of them, or those that this request names (RFC 9396 §6). A
// grant without any is for what its scopes say; a token out of it may be held
// to less.
func (p *Provider) narrowedDetails(f form, client *oidc.Client, granted []oidc.AuthorizationDetail) ([]oidc.AuthorizationDetail, error) {
	asked, err := p.askedDetails(f, client)
	if err != nil || asked == nil {
		return granted, err
	}
	if granted == nil {
		return asked, nil
	}
	for i, d := range asked {
		var ok bool
		if asked[i], ok = d.Within(granted); !ok {
			return nil, newError(invalidAuthorizationDetails, "The grant does not reach these authorization details.")
		}
	}
	return asked, nil
}
