package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"
)

func registrationCommands() []command {
	return []command{{
		name: "registration-token create", short: "Make a token with which clients can register themselves.", needs: needDatabase,
		long: `
Where AUTHSERVER_REGISTRATION is initial_access_token, a client shows the token once (RFC 7591):
  authserver registration-token create --uses 5 --expires 72h
  curl -H "Authorization: Bearer TOKEN" -H "Content-Type: application/json" \
    -d '{"redirect_uris":["https://app.example.com/callback"]}' https://login.example.com/connect/register`,
		flags: func(flags *flag.FlagSet) action {
			uses := flags.Int("uses", 1, "how many clients may register with it")
			expires := flags.Duration("expires", 24*time.Hour, "how long it is good")
			return func(ctx context.Context, t *terminal, args []string) error {
				end := t.now().Add(*expires)
				value, err := t.core.clients.CreateRegistrationToken(ctx, *uses, end, t.operator())
				if err != nil {
					return err
				}
				view := map[string]any{"initial_access_token": value.Reveal(), "uses": *uses, "expires_at": end.UTC()}
				return t.print(view, func(w io.Writer) {
					fmt.Fprintf(w, "initial_access_token\t%s\t(shown this once)\n", value.Reveal())
					fmt.Fprintf(w, "uses\t%d\n", *uses)
					fmt.Fprintf(w, "expires\t%s\n", end.UTC().Format(time.RFC3339))
				})
			}
		},
	}}
}
