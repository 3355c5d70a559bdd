package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"time"

	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/limit"
	"larder/internal/secret"
)

const (
	postedLifespan = 5 * time.Minute // a page that is loaded again finds the request again
	maxPosted      = 16 << 10        // bytes of a posted request
)

// postedRate bounds how many posted requests one network may have lie about.
func postedRate() limit.Rate { return limit.Rate{Burst: 600, Every: 100 * time.Millisecond} }

func postedKey(handle string) string {
	return "oauth:posted:" + base64.RawURLEncoding.EncodeToString(secret.Sum(handle))
}

// handlePostedAuthorize answers POST /authorize (OpenID Connect Core §3.1.2.1).
// The client's form is cross-site, and browsers keep our session cookie
// (SameSite=Lax) from it: whoever is signed in would look signed out. They send
// it with the GET that this answers, so the request is kept, out of URLs and
// logs as its sender wanted it, and read there.
func (p *Provider) handlePostedAuthorize(w http.ResponseWriter, r *http.Request) error {
	f, err := readAuthorizeForm(w, r)
	if err != nil {
		return err
	}
	value := f.values.Encode()
	if len(value) > maxPosted {
		return fault.New(fault.TooLarge, "The request of the application that sent you here is too large.")
	}
	if err := p.limits.Take(r.Context(), "authorize-post:"+limit.Source(r), postedRate()); err != nil {
		return err
	}
	handle := secret.New().Reveal()
	if err := p.Redis.Set(r.Context(), postedKey(handle), value, postedLifespan).Err(); err != nil {
		return cache.Translate(err)
	}
	noStore(w.Header())
	w.Header().Set("Location", "/authorize/posted?"+url.Values{"request": {handle}}.Encode())
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// handlePosted answers GET /authorize/posted?request=HANDLE.
func (p *Provider) handlePosted(w http.ResponseWriter, r *http.Request) error {
	f, err := p.takePosted(r.Context(), r.URL.Query().Get("request"))
	if err != nil {
		return err
	}
	return p.authorize(w, r, f)
}

func (p *Provider) takePosted(ctx context.Context, handle string) (form, error) {
	over := fault.New(fault.Invalid, "The request of the application that sent you here waited too long. Go back and start again.")
	value, err := p.Redis.Get(ctx, postedKey(handle)).Result()
	if err = cache.Translate(err); errors.Is(err, cache.ErrNone) {
		return form{}, over
	}
	if err != nil {
		return form{}, err
	}
	return parseForm(value)
}
