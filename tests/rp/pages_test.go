package rp_test

import (
	"testing"

	"larder/tests/stack"
)

// TestPages walks through the pages of people in Chromium, with axe on each.
// PICTURES names a folder for screenshots.
func TestPages(t *testing.T) {
	dir, browser := install(t), stack.Chromium(t)
	t.Parallel()
	converse(t, stack.New(t, stack.BuildForTest(t), stack.Options{}), dir, "pages.mjs", nil, browser)
}
