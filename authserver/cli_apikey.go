package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"larder/authserver/apikey"
	"larder/authserver/oidc"
	"larder/internal/id"
)

func apiKeyCommands() []command {
	return []command{
		{
			name: "apikey create", short: "Make an API key for one family, shown once.", needs: needDatabase,
			long: `
Without --service-account a new service account of the family is made.

  authserver apikey create --family 0191… --name "Smart fridge" --scope "lists:read lists:write" --expires 8760h`,
			flags: func(flags *flag.FlagSet) action {
				family := flags.String("family", "", "`id` of the family that the key reaches")
				account := flags.String("service-account", "", "`id` of an existing service account")
				name := flags.String("name", "", "what the new service account is called")
				scope := flags.String("scope", "", "`scopes`, with spaces between")
				expires := flags.Duration("expires", 0, "`how long` it lives, such as 2160h; forever if left out")
				return func(ctx context.Context, t *terminal, args []string) error {
					var expiresAt time.Time
					if *expires != 0 {
						expiresAt = t.now().Add(*expires)
					}
					return createAPIKey(ctx, t, newKey{*family, *account, *name, oidc.SplitScope(*scope), expiresAt})
				}
			},
		},
		{
			name: "apikey list", short: "List the API keys.", needs: needDatabase,
			flags: func(*flag.FlagSet) action { return listAPIKeys },
		},
		{
			name: "apikey revoke", args: "ID", short: "End an API key within seconds.", needs: needDatabase,
			flags: func(*flag.FlagSet) action {
				return func(ctx context.Context, t *terminal, args []string) error {
					arg, err := only(args, "API key id (see apikey list)")
					if err != nil {
						return err
					}
					key, err := id.Parse(arg)
					if err != nil {
						return err
					}
					if err := t.core.apiKeys.Revoke(ctx, key, t.operator()); err != nil {
						return err
					}
					return t.print(map[string]string{"id": arg}, func(w io.Writer) { fmt.Fprintln(w, "Revoked.") })
				}
			},
		},
	}
}

// newKey is what apikey create was told.
type newKey struct {
	family, account, name string
	scopes                []string
	expiresAt             time.Time
}

func createAPIKey(ctx context.Context, t *terminal, n newKey) error {
	if (n.family == "") == (n.account == "") {
		return errors.New("give either --family with --name, or --service-account")
	}
	if err := t.core.apiKeys.Check(n.scopes, n.expiresAt); err != nil { // before an account is made for nothing
		return err
	}
	var account id.ID
	var err error
	if n.account != "" {
		account, err = id.Parse(n.account)
	} else {
		var family id.ID
		if family, err = id.Parse(n.family); err == nil {
			var made apikey.ServiceAccount
			made, err = t.core.apiKeys.CreateAccount(ctx, family, n.name, t.operator())
			account = made.ID
		}
	}
	if err != nil {
		return err
	}
	key, value, err := t.core.apiKeys.Create(ctx, account, n.scopes, n.expiresAt, t.operator())
	if err != nil {
		return err
	}
	shown := struct {
		apikey.Key
		APIKey string `json:"api_key"`
	}{key, value.Reveal()}
	return t.print(shown, func(w io.Writer) {
		fmt.Fprintf(w, "api_key\t%s\t(shown this once)\n", shown.APIKey)
		fmt.Fprintf(w, "id\t%s\n", key.ID)
		fmt.Fprintf(w, "service account\t%s\n", key.ServiceAccountID)
		fmt.Fprintf(w, "family\t%s\n", key.FamilyID)
		fmt.Fprintf(w, "scopes\t%s\n", strings.Join(key.Scopes, " "))
		fmt.Fprintf(w, "expires\t%s\n", day(key.ExpiresAt))
	})
}

func listAPIKeys(ctx context.Context, t *terminal, args []string) error {
	all := []apikey.Key{}
	for after := (id.ID{}); ; {
		const page = 200
		some, err := t.core.apiKeys.List(ctx, id.ID{}, after, page)
		if err != nil {
			return err
		}
		all = append(all, some...)
		if len(some) < page {
			break
		}
		after = some[page-1].ID
	}
	return t.print(all, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tNAME\tFAMILY\tENDS IN\tSCOPES\tEXPIRES\tLAST USED\tREVOKED")
		for _, k := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t…%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.FamilyID, k.Hint,
				strings.Join(k.Scopes, " "), day(k.ExpiresAt), day(k.LastUsedAt), day(k.RevokedAt))
		}
	})
}
