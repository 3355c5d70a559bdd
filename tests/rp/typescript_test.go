package rp_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

// TestTypeScriptClient compiles the client, whose types must be those of the document that the API serves, and lets it
// work for a day. LARDER_UPDATE=1 writes the types afresh.
func TestTypeScriptClient(t *testing.T) {
	t.Parallel()
	source := filepath.Join("..", "..", "clients", "typescript")
	dir := stack.InstallNode(t, "typescript", source, "tsconfig.json")
	for _, folder := range []string{"src", "test"} {
		if err := os.CopyFS(emptied(t, dir, folder), os.DirFS(filepath.Join(source, folder))); err != nil {
			t.Fatal(err)
		}
	}
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	types := filepath.Join(source, "src", "schema.d.ts")
	generated := filepath.Join(t.TempDir(), "schema.d.ts")
	stack.Run(t, dir, "npx", "--no-install", "openapi-typescript", s.API+"/openapi.json", "--output", generated)
	if os.Getenv("LARDER_UPDATE") != "" {
		stack.CopyFile(t, generated, types)
		stack.CopyFile(t, generated, filepath.Join(dir, "src", "schema.d.ts"))
	} else if !stack.Same(t, types, generated) {
		t.Error("clients/typescript/src/schema.d.ts is not what the API says of itself: run `make types`")
	}
	stack.Run(t, dir, "npx", "--no-install", "tsc")

	tokens, err := s.Client(s.Demo.Clients.Web).Authorize(t.Context(), s.NewBrowser(), s.User(t, demo.Admin), "openid lists:read lists:write family:read", map[string][]string{"resource": {s.API}})
	if err != nil {
		t.Fatal(err)
	}
	given, err := json.Marshal(map[string]string{"api": s.API, "token": tokens.AccessToken, "family_id": s.Demo.FamilyID})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("dist", "test", "family.js"))
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, bytes.NewReader(given), t.Output()
	said, err := cmd.Output()
	t.Logf("%s", said)
	if steps := strings.Count(string(said), `"done"`); err != nil || steps != 5 {
		t.Errorf("%v after %d steps", err, steps)
	}
}

// emptied returns the folder name of dir, which is not there any more.
func emptied(t *testing.T, dir, name string) string {
	t.Helper()
	folder := filepath.Join(dir, name)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	return folder
}
