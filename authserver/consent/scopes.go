package consent

import "larder/authserver/oidc"

// meaning is a scope in plain words.
type meaning struct {
	Title  string
	Detail string
}

// meanings explains scopes, in the order of the request.
func meanings(scopes []string) []meaning {
	shown := make([]meaning, 0, len(scopes))
	for _, s := range scopes {
		shown = append(shown, explain(s))
	}
	return shown
}

func explain(scope string) meaning {
	switch scope {
	case oidc.ScopeOpenID:
		return meaning{Title: "Know that it is you", Detail: "It gets an identifier of your account, so that it recognises you next time."}
	case oidc.ScopeProfile:
		return meaning{Title: "See your profile", Detail: "Your name and what else you have put into your profile."}
	case oidc.ScopeEmail:
		return meaning{Title: "See your email address"}
	case oidc.ScopeAddress:
		return meaning{Title: "See your postal address"}
	case oidc.ScopePhone:
		return meaning{Title: "See your phone number"}
	case oidc.ScopeOfflineAccess:
		return meaning{Title: "Stay connected when you are away", Detail: "It keeps this access until you take it back, also after you sign out."}
	case "family:read":
		return meaning{Title: "See your family", Detail: "Who is in it and what role each has."}
	case "family:write":
		return meaning{Title: "Change your family", Detail: "Invite and remove members and change their roles, as far as you may."}
	case "lists:read":
		return meaning{Title: "See your shopping lists", Detail: "All lists that you can see, and what is on them."}
	case "lists:write":
		return meaning{Title: "Change your shopping lists", Detail: "Make lists, add items, check them off and remove them."}
	case "audit:read":
		return meaning{Title: "See your family’s activity log", Detail: "Who did what and when."}
	case oidc.ScopeAdmin:
		return meaning{Title: "Administer Larder", Detail: "Manage clients, users and keys of this whole service."}
	}
	return meaning{Title: "Use “" + scope + "”", Detail: "A permission that Larder has no description for."}
}
