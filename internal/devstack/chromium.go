package devstack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"larder/internal/devstack/engine"
)

// chromium returns the browser in which tests run what others wrote for browsers: the one that CHROMIUM names, one of
// the machine's own, else the system's package.
func (s *Stack) chromium(ctx context.Context) (string, error) {
	if named := s.Getenv("CHROMIUM"); named != "" {
		return named, nil
	}
	if program := findChromium(); program != "" {
		return program, nil
	}
	if err := engine.Install(ctx, s.say, "chromium", "--cask google-chrome"); err != nil {
		return "", fmt.Errorf("some tests of relying parties need Chromium; set CHROMIUM to the program, or install it. Installing it failed: %w", err)
	}
	if program := findChromium(); program != "" {
		return program, nil
	}
	return "", errors.New("chromium was installed and cannot be found; set CHROMIUM to the program")
}

func findChromium() string {
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
