package oauth

import (
	"net/http"
	"slices"
	"time"

	"larder/internal/revocation"
	"larder/internal/web"
)

const (
	// revocationOverlap is read again at each poll: an entry becomes visible at
	// its commit, and at this replica's next look, after its revoked_at.
	revocationOverlap = 10 * time.Second
	// revocationPage bounds one answer; more come at the next poll.
	revocationPage = 10_000
)

// revocations is one look at the feed. AsOf is what the next look passes as
// since.
type revocations struct {
	AsOf    time.Time          `json:"as_of"`
	Entries []revocation.Entry `json:"entries"`
}

// handleRevocations answers GET /revocations, by which a resource server learns
// within seconds that tokens it verifies offline are dead before their exp:
//
//	curl -u "$CLIENT_ID:$CLIENT_SECRET" 'http://localhost:9000/revocations?since=2026-11-21T10:00:00.000000001Z'
//	{"as_of":"2026-11-21T10:00:07.5Z","entries":[
//	  {"kind":"grant_id","value":"0199…","revoked_at":"2026-11-21T10:00:07.5Z","expires_at":"2026-11-21T10:06:07.5Z"}]}
//
// kind is jti, grant_id, sid, sub, client_id or api_key. A token that carries
// the value and was issued (iat) up to revoked_at is dead; after expires_at the
// entry may be forgotten. The first request has no since, each further one has
// the as_of of the answer before. Entries are repeated for some seconds; taking
// one in again changes nothing. Only a confidential client that is registered
// as a resource server (introspect_resource) may read the feed.
func (p *Provider) handleRevocations(w http.ResponseWriter, r *http.Request) error {
	web.Routine(r.Context())
	query, err := readAuthorizeForm(w, r)
	if err == nil && query.repeated != "" {
		err = repeatedParameter(query.repeated)
	}
	if err != nil {
		return err
	}
	client, err := p.authenticateConfidential(r, form{})
	if err != nil {
		return err
	}
	if client.Metadata.IntrospectResource == "" {
		return newError(unauthorizedClient, "The client is not registered as a resource server.")
	}
	var since time.Time
	if text := query.get("since"); text != "" {
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return newError(invalidRequest, "since must be a time of RFC 3339.")
		}
	}
	noStore(w.Header())
	return web.JSON(w, http.StatusOK, revocationsSince(p.Revocations, p.Now(), since))
}

// revocationsSince reads one page. Its times are all the database's: as_of is
// that of the newest entry, so that no clock need agree with another.
func revocationsSince(set *revocation.Set, now, since time.Time) revocations {
	entries := set.Since(since.Add(-revocationOverlap))
	slices.SortFunc(entries, func(a, b revocation.Entry) int { return a.RevokedAt.Compare(b.RevokedAt) })
	page := revocations{AsOf: since}
	if end := endOfPage(entries); end < len(entries) {
		// The overlap is taken off again when the reader comes back, and the
		// next page begins right behind this one.
		page.AsOf = entries[end-1].RevokedAt.Add(revocationOverlap)
		entries = entries[:end]
	} else if end > 0 {
		page.AsOf = entries[end-1].RevokedAt
	}
	page.Entries = slices.DeleteFunc(entries, func(e revocation.Entry) bool { return e.ExpiresAt.Before(now) })
	return page
}

// endOfPage is how many of the entries, which are in order, go into one page.
// Those of the same moment stay together, because the next page begins after it.
func endOfPage(entries []revocation.Entry) int {
	end := min(len(entries), revocationPage)
	for end > 0 && end < len(entries) && entries[end].RevokedAt.Equal(entries[end-1].RevokedAt) {
		end++
	}
	return end
}
