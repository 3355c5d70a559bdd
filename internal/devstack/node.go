package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"larder/internal/devstack/engine"
	"larder/internal/devstack/process"
)

// oldestNode is the major version of Node.js that the relying parties among the tests need.
const oldestNode = 20

// nodePath returns the PATH on which tests find Node.js and npm: the machine's own if it is new enough, else the
// system's package, else, where that is too old, the binary that the npm registry carries.
func (s *Stack) nodePath(ctx context.Context, dir *directory) (string, error) {
	path := s.Getenv("PATH")
	if newEnough(ctx, "node") && found("npm") {
		return path, nil
	}
	if !found("npm") {
		if err := engine.Install(ctx, s.say, "nodejs npm", "node"); err != nil {
			return "", fmt.Errorf("the tests of relying parties need Node.js %d or newer, with npm; installing it failed: %w", oldestNode, err)
		}
		if newEnough(ctx, "node") {
			return path, nil
		}
	}
	home := dir.file("node")
	bin := filepath.Join(home, "node_modules", "node", "bin")
	if !newEnough(ctx, filepath.Join(bin, "node")) {
		s.say("Getting Node.js %d from the npm registry.", oldestNode)
		npm := process.Spec{Name: "npm", Path: "npm", Args: []string{"install", "--prefix", home, "--no-save", "node@" + strconv.Itoa(oldestNode)}}
		if _, err := process.Run(ctx, npm); err != nil {
			return "", fmt.Errorf("the tests of relying parties need Node.js %d or newer: %w", oldestNode, err)
		}
	}
	return bin + string(os.PathListSeparator) + path, nil
}

func found(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// newEnough reports whether program is a Node.js that answers with a version of at least oldestNode, such as v20.19.2.
func newEnough(ctx context.Context, program string) bool {
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return false
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), "v"), ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= oldestNode
}
