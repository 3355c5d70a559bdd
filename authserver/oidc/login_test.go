package oidc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/authserver/oidc"
)

func TestOneFactorIsTheFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ login, want oidc.Login }{
		"a password and an app":    {oidc.Login{ACR: oidc.ACRMFA, AMR: []string{"pwd", "otp", "mfa"}}, oidc.Login{ACR: oidc.ACRPassword, AMR: []string{"pwd"}}},
		"a provider and an app":    {oidc.Login{ACR: oidc.ACRMFA, AMR: []string{"fed", "otp", "mfa"}}, oidc.Login{ACR: oidc.ACRFederated, AMR: []string{"fed"}}},
		"a provider and a mail":    {oidc.Login{ACR: oidc.ACRFederated, AMR: []string{"fed", "mca"}}, oidc.Login{ACR: oidc.ACRFederated, AMR: []string{"fed"}}},
		"a passkey alone":          {oidc.Login{ACR: oidc.ACRMFA, AMR: []string{"pop", "user", "mfa"}}, oidc.Login{ACR: oidc.ACRPassword, AMR: []string{"pop", "user"}}},
		"a password and a passkey": {oidc.Login{ACR: oidc.ACRMFA, SID: "s", AMR: []string{"pwd", "pop", "user", "mfa"}}, oidc.Login{ACR: oidc.ACRPassword, AMR: []string{"pwd"}}},
		"nothing but the password": {oidc.Login{ACR: oidc.ACRPassword, AMR: []string{"pwd"}}, oidc.Login{ACR: oidc.ACRPassword, AMR: []string{"pwd"}}},
	} {
		if diff := cmp.Diff(c.want, c.login.OneFactor()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
