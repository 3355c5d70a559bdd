package oauth

import (
	"context"
	"net/url"
	"slices"

	"larder/internal/fault"
)

// maxFrames bounds what one page loads; who is left out hears by the back
// channel or not at all.
const maxFrames = 30

// logoutFrames are the addresses that the logged-out page loads in frames, one
// for each client that registered a frontchannel_logout_uri (OpenID Connect
// Front-Channel Logout 1.0 §3). iss and sid tell the client whose session it is,
// whether it asked for them or not.
func (p *Provider) logoutFrames(ctx context.Context, clients []string, sid string) ([]string, error) {
	var frames []string
	for _, clientID := range clients {
		client, err := p.Clients.Client(ctx, clientID)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if uri := client.Metadata.FrontchannelLogoutURI; uri != "" && len(frames) < maxFrames {
			frames = append(frames, withQuery(uri, url.Values{"iss": {p.Config.Issuer}, "sid": {sid}}))
		}
	}
	slices.Sort(frames)
	return frames, nil
}
