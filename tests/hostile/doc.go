// Package hostile sends both services what nobody means well by, and looks at what is left of it:
//
//	oversized, endless, deep, many ──> authserver, resourceapi ──> 4xx, and no more memory than before
//	secrets, line breaks ────────────> authserver, resourceapi ──> logs, both schemas: not one secret, not one forged line
package hostile
