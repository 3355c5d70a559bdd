package main

import (
	"testing"

	"larder/internal/env/envtest"
)

// Whoever starts the stack of docker-compose.yml finds every setting right.
func TestTheComposeFileConfiguresTheService(t *testing.T) {
	t.Parallel()
	load := func(needs need) envtest.Load {
		return func(getenv func(string) string) error {
			_, err := loadConfig(getenv, needs)
			return err
		}
	}
	envtest.Compose(t, map[string]envtest.Load{"authserver": load(needServe), "migrate-authserver": load(needOwner)})
}
