package password

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the protocol names passwords so; it protects nothing here
	"encoding/hex"
	"net/http"
	"strings"
)

// MaxRange is how many bytes of an answer are enough; about 1,000 lines of 40
// are usual.
const MaxRange = 1 << 20

// Getter returns the body of an answer that is 200; outbound.Client does.
type Getter interface {
	Get(ctx context.Context, address string, header http.Header) ([]byte, error)
}

// Ranges asks a service that speaks the range protocol of Have I Been Pwned
// (k-anonymity): it learns the first 20 bits of a password's SHA-1 and nothing
// more, and padding hides from a listener how many passwords share them.
type Ranges struct {
	URL    string // such as https://api.pwnedpasswords.com
	Client Getter // its time limit is how long whoever chooses a password waits for an answer
}

// Breached implements Breaches.
func (s *Ranges) Breached(ctx context.Context, password string) (bool, error) {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // see the import
	name := strings.ToUpper(hex.EncodeToString(sum[:]))
	header := http.Header{"Add-Padding": {"true"}, "User-Agent": {"Larder"}}
	body, err := s.Client.Get(ctx, strings.TrimSuffix(s.URL, "/")+"/range/"+name[:5], header)
	if err != nil {
		return false, err
	}
	for line := range bytes.Lines(body) {
		suffix, count, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		if strings.EqualFold(suffix, name[5:]) {
			return count != "0", nil // padding has the count 0
		}
	}
	return false, nil
}
