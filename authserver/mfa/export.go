package mfa

import (
	"context"
	"time"

	"larder/internal/id"
)

// exported is what is kept of a person's factors, as their copy of it says it.
type exported struct {
	AuthenticatorAppSince *time.Time      `json:"authenticator_app_since,omitempty"`
	RecoveryCodesLeft     int             `json:"recovery_codes_left"`
	TrustedDevices        []trustedDevice `json:"trusted_devices"`
}

type trustedDevice struct {
	Name      string    `json:"name"`
	TrustedAt time.Time `json:"trusted_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Export returns what is kept of a person's factors, without the secrets.
func (f *Factors) Export(ctx context.Context, user id.ID) (any, error) {
	v, err := f.View(ctx, user, "")
	if err != nil {
		return nil, err
	}
	e := exported{RecoveryCodesLeft: v.RecoveryCodes, TrustedDevices: []trustedDevice{}}
	if !v.TOTPSince.IsZero() {
		e.AuthenticatorAppSince = &v.TOTPSince
	}
	for _, d := range v.Trusted {
		e.TrustedDevices = append(e.TrustedDevices, trustedDevice{d.Name, d.TrustedAt, d.ExpiresAt})
	}
	return e, nil
}
