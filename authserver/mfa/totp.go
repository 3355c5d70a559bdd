package mfa

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"html/template"
	"image/png"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

const (
	period   = 30 // seconds of one time step (RFC 6238 §4.1)
	digits   = 6
	skew     = 1   // steps by which a clock may be off, either way (§5.2)
	qrPixels = 264 // a side of the picture
)

// newKey makes a secret of 160 random bits (RFC 4226 §4), labelled for the list
// that an authenticator app shows.
func newKey(service, email string) (*otp.Key, error) {
	if email == "" {
		email = "your account"
	}
	return totp.Generate(totp.GenerateOpts{Issuer: service, AccountName: email})
}

// matchStep returns the time step, within the skew, whose code this is.
func matchStep(secret, code string, now time.Time) (step int64, ok bool, err error) {
	for offset := int64(-skew); offset <= skew; offset++ {
		at := now.Add(time.Duration(offset) * period * time.Second)
		want, err := totp.GenerateCodeCustom(secret, at, totp.ValidateOpts{Period: period, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = at.Unix()/period, true // of equal codes the newest, which spends them all
		}
	}
	return step, ok, nil
}

// looksLikeTOTP tells a code of the app from a recovery code.
func looksLikeTOTP(code string) bool {
	return len(code) == digits && strings.Trim(code, "0123456789") == ""
}

// qrCode is a key as a picture for the app's camera, without a request of its
// own that could be cached or logged.
func qrCode(key *otp.Key) (template.URL, error) {
	img, err := key.Image(qrPixels, qrPixels)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return "", err
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil //nolint:gosec // base64 of our own picture
}
