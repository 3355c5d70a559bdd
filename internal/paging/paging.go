package paging

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"larder/internal/fault"
)

const (
	defaultLimit = 50
	maxLimit     = 200
	maxCursor    = 1024 // characters
	macSize      = 16   // a cursor grants nothing, so 128 bits are plenty
)

// Limit reads the query parameter limit: how many rows a page holds, 1 to 200,
// 50 if it is absent.
func Limit(query url.Values) (int, error) {
	s := query.Get("limit")
	if s == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxLimit {
		return 0, fault.New(fault.Invalid, "A parameter is not allowed.").
			WithFields(fault.Field{Pointer: "limit", Detail: "must be a whole number from 1 to " + strconv.Itoa(maxLimit)})
	}
	return n, nil
}

// Signer makes and reads cursors. All replicas hold the same key.
type Signer struct {
	Key []byte
}

// Seal returns the cursor for the place v, a small JSON value, in a collection.
func (s Signer) Seal(collection string, v any) (string, error) {
	place, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(s.mac(collection, place), place...)), nil
}

// Open reads into v a cursor that Seal made for the same collection. Any other
// is fault.Invalid.
func (s Signer) Open(collection, cursor string, v any) error {
	refused := fault.New(fault.Invalid, "A parameter is not allowed.").
		WithFields(fault.Field{Pointer: "cursor", Detail: "is not one that this collection gave out"})
	if len(cursor) > maxCursor {
		return refused
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) < macSize || !hmac.Equal(raw[:macSize], s.mac(collection, raw[macSize:])) {
		return refused
	}
	return json.Unmarshal(raw[macSize:], v)
}

func (s Signer) mac(collection string, place []byte) []byte {
	h := hmac.New(sha256.New, s.Key)
	h.Write([]byte(strconv.Itoa(len(collection)) + ":" + collection))
	h.Write(place)
	return h.Sum(nil)[:macSize]
}

// Next returns the relative address of the page that begins at cursor: that of
// the request, with its other parameters kept.
func Next(r *http.Request, cursor string) string {
	query := r.URL.Query()
	query.Set("cursor", cursor)
	return r.URL.EscapedPath() + "?" + query.Encode()
}
