package devstack

import (
	"context"
	"strings"
	"time"

	"larder/internal/emulator"
)

// emulate starts stand-ins for Google and Apple and returns the settings by which authserver finds them. A provider for
// which the developer has real credentials is not among them.
func (s *Stack) emulate(ctx context.Context) (map[string]string, error) {
	providers, err := emulator.Listen(ctx, time.Now) //nolint:forbidigo // the program's one clock
	if err != nil {
		return nil, err
	}
	settings := providers.Environment()
	for _, name := range []string{"GOOGLE", "APPLE"} {
		if s.Getenv(name+"_CLIENT_ID") == "" {
			continue
		}
		for key := range settings {
			if strings.HasPrefix(key, name+"_") || key == "AUTHSERVER_"+name+"_URL" {
				delete(settings, key)
			}
		}
	}
	s.say("Google and Apple are emulated at %s/events, unless you have credentials of theirs.", providers.URL)
	return settings, nil
}
