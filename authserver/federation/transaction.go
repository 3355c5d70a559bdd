package federation

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/sealed"
	"larder/internal/secret"
)

const (
	// Lifetime is how long somebody may stay at the provider.
	Lifetime = 10 * time.Minute
	// handover is how long a browser may take from the form_post to the GET.
	handover = time.Minute

	tokenLength = 43 // secret.New
)

// transaction is one trip to a provider: what we asked, for which browser, and
// what it is for. It lies in Redis under a hash of its state, sealed.
type transaction struct {
	Provider string      `json:"provider"`
	Nonce    string      `json:"nonce"`
	Verifier string      `json:"verifier"` // PKCE, RFC 7636
	Browser  []byte      `json:"browser"`  // Sum of the cookie of the browser that began
	To       oidc.Onward `json:"to"`
	Link     id.ID       `json:"link,omitzero"` // whose account gets the identity; zero when signing in
	SID      string      `json:"sid,omitempty"` // the session in which linking began
	Answer   *answer     `json:"answer,omitempty"`
}

// answer is what the provider sent with the browser.
type answer struct {
	Code  string `json:"code"`
	Error string `json:"error,omitempty"`
	User  string `json:"user,omitempty"` // Apple's, at first consent, unsigned
}

// transactions keeps trips in Redis.
type transactions struct {
	redis   *redis.Client
	keyring func() *sealed.Keyring
	secure  bool // the issuer is https
}

// cookie binds a transaction to a browser. Its name comes from the state, so
// that each tab has one. The one for a form_post must come along with a POST
// from another site, which only SameSite=None does, and that only over https:
// on plain http the GET after it does the binding.
func (t *transactions) cookie(state, value string, formPost bool, life time.Duration) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // Secure wherever the issuer is https
		Name: "larder-federation-" + hash(state)[:8], Value: value, Path: "/", MaxAge: int(life.Seconds()),
		Secure: t.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if t.secure {
		c.Name = "__Host-" + c.Name
		if formPost {
			c.SameSite = http.SameSiteNoneMode
		}
	}
	return c
}

// begin parks a transaction and binds it to this browser.
func (t *transactions) begin(ctx context.Context, w http.ResponseWriter, tx transaction, formPost bool) (state string, err error) {
	state, cookie := secret.New().Reveal(), secret.New().Reveal()
	tx.Browser = secret.Sum(cookie)
	if err := t.put(ctx, state, tx, redis.SetArgs{Mode: "NX", TTL: Lifetime}); err != nil {
		return "", err
	}
	http.SetCookie(w, t.cookie(state, cookie, formPost, Lifetime))
	return state, nil
}

func (t *transactions) put(ctx context.Context, state string, tx transaction, how redis.SetArgs) error {
	plain, err := json.Marshal(tx)
	if err != nil {
		return err
	}
	key := transactionKey(state)
	err = t.redis.SetArgs(ctx, key, t.keyring().Seal(key, plain), how).Err()
	if errors.Is(err, cache.ErrNone) {
		return over()
	}
	return cache.Translate(err)
}

// look returns a transaction of this provider and leaves it where it is.
func (t *transactions) look(ctx context.Context, provider, state string) (*transaction, error) {
	if len(state) != tokenLength {
		return nil, over()
	}
	key := transactionKey(state)
	box, err := t.redis.Get(ctx, key).Bytes()
	if errors.Is(err, cache.ErrNone) {
		return nil, over()
	}
	if err != nil {
		return nil, cache.Translate(err)
	}
	plain, err := t.keyring().Open(key, box)
	if err != nil {
		return nil, over()
	}
	tx := &transaction{}
	if err := json.Unmarshal(plain, tx); err != nil {
		return nil, err
	}
	if tx.Provider != provider {
		return nil, over()
	}
	return tx, nil
}

// park keeps what a form_post brought, for the GET that the browser is about to
// send with its cookies. Over https the browser has to be the right one now.
func (t *transactions) park(ctx context.Context, r *http.Request, provider, state string, a answer) error {
	tx, err := t.look(ctx, provider, state)
	if err != nil {
		return err
	}
	if tx.Answer != nil || t.secure && !t.sameBrowser(r, state, tx) {
		return over()
	}
	tx.Answer = &a
	return t.put(ctx, state, *tx, redis.SetArgs{Mode: "XX", TTL: handover})
}

// take ends a transaction: of any number of callers from the browser that began
// it, one gets it. Nobody else's try ends it.
func (t *transactions) take(ctx context.Context, w http.ResponseWriter, r *http.Request, provider, state string) (*transaction, error) {
	tx, err := t.look(ctx, provider, state)
	if err != nil {
		return nil, err
	}
	if !t.sameBrowser(r, state, tx) {
		return nil, over()
	}
	n, err := t.redis.Del(ctx, transactionKey(state)).Result()
	if err != nil {
		return nil, cache.Translate(err)
	}
	if n != 1 {
		return nil, over()
	}
	http.SetCookie(w, t.cookie(state, "", provider == apple, -time.Second))
	return tx, nil
}

func (t *transactions) sameBrowser(r *http.Request, state string, tx *transaction) bool {
	c, err := r.Cookie(t.cookie(state, "", false, 0).Name)
	return err == nil && secret.Matches(c.Value, tx.Browser)
}

// over is a 403 and tells nobody which it was.
func over() error {
	return fault.New(fault.Forbidden, "This sign-in is finished already, took too long, or was begun in another browser.").WithCode("federation_over")
}

func transactionKey(state string) string { return "federation:" + hash(state) }

func hash(s string) string { return hex.EncodeToString(secret.Sum(s)) }
