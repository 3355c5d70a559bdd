package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// limitClaims is as much as any access token says (RFC 9068 §2.2).
type limitClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	Audience string `json:"aud"`
	Scope    string `json:"scope"`
	Expires  int64  `json:"exp"`
	IssuedAt int64  `json:"iat"`
	JTI      string `json:"jti"`
}

// limitTokens is the answer of a token endpoint (RFC 6749 §5.1).
type limitTokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// sign makes a token: claims to JSON, an ES256 signature over their SHA-256, base64url.
func (l *limit) sign() (string, error) {
	const header = "eyJhbGciOiJFUzI1NiIsImtpZCI6IkxpbWl0IiwidHlwIjoiYXQrand0In0."
	issued := l.now().Unix()
	claims, err := json.Marshal(limitClaims{
		Issuer: "http://localhost:9000", Subject: "machine", ClientID: "machine", Audience: "http://localhost:9100",
		Scope: "lists:read", Expires: issued + 300, IssuedAt: issued, JTI: rand.Text(),
	})
	if err != nil {
		return "", err
	}
	token := base64.RawURLEncoding.AppendEncode(append(make([]byte, 0, 640), header...), claims)
	digest := sha256.Sum256(token)
	signature, err := ecdsa.SignASN1(rand.Reader, l.key, digest[:])
	if err != nil {
		return "", err
	}
	return string(base64.RawURLEncoding.AppendEncode(append(token, '.'), signature)), nil
}

// token answers with one token.
func (l *limit) token(*http.Request) (limitTokens, error) {
	token, err := l.sign()
	return limitTokens{AccessToken: token, TokenType: "bearer", ExpiresIn: 300, Scope: "lists:read"}, err
}

// rotate commits a rotation and answers with an access token and an ID token.
func (l *limit) rotate(r *http.Request) (limitTokens, error) {
	family, err := strconv.Atoi(r.PathValue("family"))
	if err != nil {
		return limitTokens{}, err
	}
	var salt [16]byte
	_, _ = rand.Read(salt[:])
	var (
		generation   int
		client, user string
		scopes       []string
	)
	if err := l.pool.QueryRow(r.Context(), limitRotate, family, salt[:]).Scan(&generation, &client, &user, &scopes); err != nil {
		return limitTokens{}, err
	}
	answer, err := l.token(r)
	if err != nil {
		return limitTokens{}, err
	}
	answer.RefreshToken = base64.RawURLEncoding.EncodeToString(salt[:])
	answer.IDToken, err = l.sign()
	return answer, err
}

// limitItem has the columns and the members of an item of the API.
type limitItem struct {
	ID        string     `json:"id"`
	ListID    string     `json:"list_id"`
	Name      string     `json:"name"`
	Quantity  *float64   `json:"quantity"`
	Unit      string     `json:"unit"`
	Note      string     `json:"note"`
	Category  string     `json:"category"`
	Checked   bool       `json:"checked"`
	CheckedAt *time.Time `json:"checked_at"`
	CheckedBy *string    `json:"checked_by"`
	Position  float64    `json:"position"`
	Version   int64      `json:"version"`
	AddedBy   string     `json:"added_by"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
}

type limitPage struct {
	Items []limitItem `json:"items"`
}

func (i *limitItem) scan(row pgx.Row) error {
	return row.Scan(&i.ID, &i.ListID, &i.Name, &i.Quantity, &i.Unit, &i.Note, &i.Category, &i.CheckedAt, &i.CheckedBy,
		&i.Position, &i.Version, &i.AddedBy, &i.CreatedAt, &i.UpdatedAt)
}

// check checks an item off, or puts it back.
func (l *limit) check(r *http.Request) (i limitItem, err error) {
	item, err := strconv.Atoi(r.PathValue("item"))
	if err != nil {
		return i, err
	}
	return i, i.scan(l.pool.QueryRow(r.Context(), limitCheck, item, "user:00000000-0000-7000-8000-000000000000"))
}

// list answers with the fifty items of a list, read by one statement.
func (l *limit) list(r *http.Request) (limitPage, error) {
	page := limitPage{Items: make([]limitItem, 0, listSize)}
	rows, err := l.pool.Query(r.Context(), limitList)
	if err != nil {
		return page, err
	}
	defer rows.Close()
	for rows.Next() {
		var i limitItem
		if err := i.scan(rows); err != nil {
			return page, err
		}
		page.Items = append(page.Items, i)
	}
	if len(page.Items) != listSize {
		return page, errors.New("the list is not whole")
	}
	return page, rows.Err()
}
