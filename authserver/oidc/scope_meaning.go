package oidc

import "strings"

// Meaning is a scope in plain words, as people are shown it.
type Meaning struct {
	Title  string
	Detail string
}

// Meanings explains scopes, in the order of the request.
func Meanings(scopes []string) []Meaning {
	shown := make([]Meaning, 0, len(scopes))
	for _, s := range scopes {
		shown = append(shown, meaningOf(s))
	}
	return shown
}

func meaningOf(scope string) Meaning {
	switch scope {
	case ScopeOpenID:
		return Meaning{Title: "Know that it is you", Detail: "It gets an identifier of your account, so that it recognises you next time."}
	case ScopeProfile:
		return Meaning{Title: "See your profile", Detail: "Your name and what else you have put into your profile."}
	case ScopeEmail:
		return Meaning{Title: "See your email address"}
	case ScopeAddress:
		return Meaning{Title: "See your postal address"}
	case ScopePhone:
		return Meaning{Title: "See your phone number"}
	case ScopeOfflineAccess:
		return Meaning{Title: "Stay connected when you are away", Detail: "It keeps this access until you take it back, also after you sign out."}
	case "family:read":
		return Meaning{Title: "See your family", Detail: "Who is in it and what role each has."}
	case "family:write":
		return Meaning{Title: "Change your family", Detail: "Invite and remove members and change their roles, as far as you may."}
	case "lists:read":
		return Meaning{Title: "See your shopping lists", Detail: "All lists that you can see, and what is on them."}
	case "lists:write":
		return Meaning{Title: "Change your shopping lists", Detail: "Make lists, add items, check them off and remove them."}
	case "audit:read":
		return Meaning{Title: "See your family’s activity log", Detail: "Who did what and when."}
	case ScopeAdmin:
		return Meaning{Title: "Administer Larder", Detail: "Manage clients, users and keys of this whole service."}
	}
	if claim, ok := strings.CutPrefix(scope, claimPrefix); ok {
		return meaningOfClaim(claim)
	}
	return Meaning{Title: "Use “" + scope + "”", Detail: "A permission that Larder has no description for."}
}

// meaningOfClaim explains a claim of OpenID Connect Core §5.1.
func meaningOfClaim(claim string) Meaning {
	words := map[string]string{
		"name": "your name", "given_name": "your first name", "family_name": "your last name", "middle_name": "your middle name",
		"nickname": "your nickname", "preferred_username": "the user name that you prefer", "profile": "the address of your profile page",
		"picture": "your picture", "website": "your website", "gender": "your gender", "birthdate": "your date of birth",
		"zoneinfo": "your time zone", "locale": "your language", "updated_at": "when your profile last changed",
		"email": "your email address", "email_verified": "whether your email address is confirmed", "address": "your postal address",
		"phone_number": "your phone number", "phone_number_verified": "whether your phone number is confirmed",
	}
	if known, ok := words[claim]; ok {
		return Meaning{Title: "See " + known}
	}
	return Meaning{Title: "See “" + claim + "” of your profile"}
}
