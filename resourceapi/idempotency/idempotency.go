package idempotency

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"

	"larder/internal/fault"
	"larder/internal/sealed"
	"larder/internal/web"
	"larder/resourceapi/tenant"
)

// The headers.
const (
	Header   = "Idempotency-Key"
	Replayed = "Idempotency-Replayed"
)

const maxKey = 255 // characters

// Keeper keeps answers.
type Keeper struct {
	Keys   *sealed.Keyring // held by all replicas
	Report web.ErrorWriter
}

// Wrap has next, which answers authenticated requests, carry out each request
// with a key once.
func (k *Keeper) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := r.Header.Values(Header)
		if len(sent) == 0 || r.Method != http.MethodPost && r.Method != http.MethodPatch {
			next.ServeHTTP(w, r)
			return
		}
		if err := k.serve(w, r, sent, next); err != nil {
			k.Report(w, r, err)
		}
	})
}

func (k *Keeper) serve(w http.ResponseWriter, r *http.Request, sent []string, next http.Handler) error {
	key, err := parse(sent)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return web.ReadFault(err)
	}
	keyed := &tenant.Keyed{Key: key, Digest: digest(r, body)}
	ctx := r.Context()
	r = r.WithContext(tenant.WithKey(ctx, keyed))
	r.Body = io.NopCloser(bytes.NewReader(body))
	held := &recorder{header: http.Header{}}
	defer func() {
		if keyed.Pending() { // the feature panicked, or could not answer
			keyed.Drop(ctx)
		}
	}()
	next.ServeHTTP(held, r)

	switch {
	case keyed.Before != nil:
		return k.replay(w, keyed)
	case keyed.Refused() != nil:
		return keyed.Refused()
	case keyed.Pending() && held.status < http.StatusMultipleChoices:
		if err := k.keep(r, keyed, held); err != nil {
			return err
		}
	}
	held.flush(w)
	return nil
}

// answer is what is kept.
type answer struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   []byte            `json:"body"`
}

func (k *Keeper) keep(r *http.Request, keyed *tenant.Keyed, held *recorder) error {
	a := answer{Status: held.status, Header: map[string]string{}, Body: held.body.Bytes()}
	for _, name := range []string{"Content-Type", "Etag", "Location", "Cache-Control"} {
		if v := held.header.Get(name); v != "" {
			a.Header[name] = v
		}
	}
	raw, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return keyed.Keep(r.Context(), k.Keys.Seal(keyed.Place(), raw))
}

func (k *Keeper) replay(w http.ResponseWriter, keyed *tenant.Keyed) error {
	raw, err := k.Keys.Open(keyed.Place(), keyed.Before)
	if err != nil {
		return fault.Wrap(fault.Unprocessable, "What was answered to this Idempotency-Key can no longer be read.", err).WithCode("idempotency_key_reused")
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	for name, v := range a.Header {
		w.Header().Set(name, v)
	}
	w.Header().Set(Replayed, "true")
	w.WriteHeader(a.Status)
	_, err = w.Write(a.Body)
	return err
}

// parse takes a key as the draft has it, a quoted string, and bare, as most
// clients send it.
func parse(sent []string) (string, error) {
	key := sent[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	plain := !strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
	if len(sent) > 1 || key == "" || len(key) > maxKey || !plain {
		return "", fault.New(fault.Invalid, "A header is not allowed.").
			WithFields(fault.Field{Pointer: Header, Detail: "must be one key of 1 to 255 visible characters, best a UUID"})
	}
	return key, nil
}

// digest is of what makes two requests the same.
func digest(r *http.Request, body []byte) []byte {
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("If-Match")} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	h.Write(body)
	return h.Sum(nil)
}

// recorder holds an answer back.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *recorder) flush(to http.ResponseWriter) {
	maps.Copy(to.Header(), w.header)
	w.WriteHeader(http.StatusOK)
	to.WriteHeader(w.status)
	_, _ = w.body.WriteTo(to) // who does not hear it sends it again
}
