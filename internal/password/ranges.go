package password

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // the protocol names passwords so; it protects nothing here
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const maxRange = 1 << 20 // bytes; about 1,000 lines of 40 are usual

// Ranges asks a service that speaks the range protocol of Have I Been Pwned
// (k-anonymity): it learns the first 20 bits of a password's SHA-1 and nothing
// more, and padding hides from a listener how many passwords share them.
type Ranges struct {
	URL    string       // such as https://api.pwnedpasswords.com
	Client *http.Client // its Timeout is how long whoever chooses a password waits for an answer
}

// Breached implements Breaches.
func (s *Ranges) Breached(ctx context.Context, password string) (bool, error) {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // see the import
	name := strings.ToUpper(hex.EncodeToString(sum[:]))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.URL, "/")+"/range/"+name[:5], nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Add-Padding", "true")
	req.Header.Set("User-Agent", "Larder")
	res, err := s.Client.Do(req)
	if err != nil {
		return false, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return false, fmt.Errorf("the range service answered %d", res.StatusCode)
	}
	lines := bufio.NewScanner(io.LimitReader(res.Body, maxRange))
	for lines.Scan() {
		suffix, count, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if strings.EqualFold(suffix, name[5:]) {
			return count != "0", nil // padding has the count 0
		}
	}
	return false, lines.Err()
}
