package paging

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"larder/internal/valid"
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
		return 0, valid.Parameter("limit", "must be a whole number from 1 to "+strconv.Itoa(maxLimit))
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
	refused := valid.Parameter("cursor", "is not one that this collection gave out")
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

// Page reads what a request asks of a collection: how many rows, and into after
// where they begin, which stays as it is for the first page.
func (s Signer) Page(r *http.Request, collection string, after any) (limit int, err error) {
	query := r.URL.Query()
	if limit, err = Limit(query); err != nil {
		return 0, err
	}
	if cursor := query.Get("cursor"); cursor != "" {
		err = s.Open(collection, cursor, after)
	}
	return limit, err
}

// Next returns the relative address of the page of the collection that begins at
// the place v: that of the request, with its other parameters kept.
func (s Signer) Next(r *http.Request, collection string, v any) (string, error) {
	cursor, err := s.Seal(collection, v)
	query := r.URL.Query()
	query.Set("cursor", cursor)
	return r.URL.EscapedPath() + "?" + query.Encode(), err
}
