package cache_test

import (
	"testing"
	"time"

	"larder/internal/cache"
	"larder/internal/secret"
)

func TestTimeoutsAreTheAddresssOrTwoSeconds(t *testing.T) {
	t.Parallel()
	const usual = 2 * time.Second
	for address, want := range map[string][3]time.Duration{
		"redis://localhost":                   {usual, usual, usual},
		"redis://localhost/1?read_timeout=1m": {usual, time.Minute, usual},
		"redis://localhost?dial_timeout=20s&read_timeout=5&write_timeout=1m": {20 * time.Second, 5 * time.Second, time.Minute},
	} {
		client, err := cache.Open(secret.String(address))
		if err != nil {
			t.Fatal(err)
		}
		o := client.Options()
		if got := [3]time.Duration{o.DialTimeout, o.ReadTimeout, o.WriteTimeout}; got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := cache.Open("redis://:secret@localhost:port"); err == nil || err.Error() != "the Redis URL cannot be read" {
		t.Errorf("a broken address: %v", err)
	}
}
