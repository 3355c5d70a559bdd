package oidc

import "strings"

// App is a client as pages speak of it (OpenID Connect Registration §2).
type App struct {
	Name, LogoURI, PolicyURI, TOSURI string
}

// App is the client for people.
func (c *Client) App() App {
	a := App{Name: c.Metadata.ClientName, PolicyURI: c.Metadata.PolicyURI, TOSURI: c.Metadata.TOSURI}
	if a.Name == "" {
		a.Name = c.ID
	}
	if strings.HasPrefix(c.Metadata.LogoURI, "https://") {
		a.LogoURI = c.Metadata.LogoURI
	}
	return a
}
