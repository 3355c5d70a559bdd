package oidc

// LoggedOut is what the page says that ends a sign-out.
type LoggedOut struct {
	ClientName string // "" when no client asked
	ReturnURI  string // registered by the client; "" for none
	// Onward sends the browser to ReturnURI by itself, once the frames have
	// been loaded or have had their time.
	Onward bool
	// Frames are the addresses by which clients hear of it through the browser
	// (OpenID Connect Front-Channel Logout 1.0 §3).
	Frames []string
}
