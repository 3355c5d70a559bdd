package client

import (
	"net/url"
	"strings"
)

// logout checks how the client wants to hear that a session is over.
func (c *check) logout() {
	if uri := c.m.BackchannelLogoutURI; uri != "" {
		if err := c.rules.reachable(uri); err != nil {
			c.fault("backchannel_logout_uri", "%v", err)
		}
	}
	if uri := c.m.FrontchannelLogoutURI; uri != "" {
		if err := redirectURI(uri, false); err != "" {
			c.fault("frontchannel_logout_uri", "%s", err)
		} else if strings.Contains(uri, "://[") {
			c.fault("frontchannel_logout_uri", "must not name an IPv6 address: no policy of a page can allow it")
		} else if !c.redirectsTo(uri) {
			// OpenID Connect Front-Channel Logout 1.0 §2
			c.fault("frontchannel_logout_uri", "must have the scheme, host and port of one of the redirect_uris")
		}
	}
}

func (r Rules) reachable(uri string) error {
	if r.Reachable == nil {
		return nil
	}
	return r.Reachable(uri)
}

// redirectsTo reports whether a redirect URI has the origin of uri.
func (c *check) redirectsTo(uri string) bool {
	for _, redirect := range c.m.RedirectURIs {
		if origin(redirect) == origin(uri) {
			return true
		}
	}
	return false
}

func origin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" && u.Scheme == "https" {
		port = "443"
	}
	return strings.ToLower(u.Scheme + "://" + u.Hostname() + ":" + port)
}
