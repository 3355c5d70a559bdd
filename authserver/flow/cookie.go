package flow

import "net/http"

// A browser on its first visit may open several tabs at once. Each answer then
// brings another device cookie, and only the last one stays. So a flow whose
// device cookie is fresh sets a second cookie of its own, which the other tabs
// do not overwrite; it goes with the flow.

func (f *Flows) cookieName(flowID string) string {
	name := "larder-flow-" + hash(flowID)[:8]
	if f.Secure {
		return "__Host-" + name
	}
	return name
}

func (f *Flows) setCookie(w http.ResponseWriter, flowID, device string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the issuer is https
		Name:     f.cookieName(flowID),
		Value:    device,
		Path:     "/",
		MaxAge:   int(Lifetime.Seconds()),
		Secure:   f.Secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}

// sameBrowser reports whether r comes from the browser whose device cookie has
// this hash.
func (f *Flows) sameBrowser(r *http.Request, flowID, deviceHash string) bool {
	if device := f.Devices.Device(r); device != "" && hash(device) == deviceHash {
		return true
	}
	c, err := r.Cookie(f.cookieName(flowID))
	return err == nil && hash(c.Value) == deviceHash
}
