package main

import (
	"net/http"

	"larder/authserver/oidc"
	"larder/authserver/page"
)

// protocolPages are the pages of the protocol endpoints, which leave a page
// that cannot be rendered to the error page.
type protocolPages struct {
	*page.Renderer
}

func (p protocolPages) ConfirmLogout(w http.ResponseWriter, r *http.Request, clientName string, hidden map[string]string) {
	if err := p.Renderer.ConfirmLogout(w, r, clientName, hidden); err != nil {
		p.Error(w, r, err)
	}
}

func (p protocolPages) LoggedOut(w http.ResponseWriter, r *http.Request, end oidc.LoggedOut) {
	if err := p.Renderer.LoggedOut(w, r, end); err != nil {
		p.Error(w, r, err)
	}
}
