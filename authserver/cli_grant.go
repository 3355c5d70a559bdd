package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"larder/authserver/grant"
	"larder/internal/id"
)

func grantCommands() []command {
	return []command{
		{
			name: "grant list", short: "List what people have given to clients and is in force, the newest first.", needs: needDatabase,
			long: "\n  authserver grant list --user 0191… --client planner",
			flags: func(flags *flag.FlagSet) action {
				user := flags.String("user", "", "`id` of a user")
				client := flags.String("client", "", "`client_id`")
				limit := flags.Int("limit", 1000, "at most so many")
				return func(ctx context.Context, t *terminal, args []string) error {
					filter := grant.Filter{ClientID: *client}
					if *user != "" {
						var err error
						if filter.UserID, err = id.Parse(*user); err != nil {
							return err
						}
					}
					return listGrants(ctx, t, filter, *limit)
				}
			},
		},
		{
			name: "grant revoke", args: "ID", short: "End a grant, and within seconds every token of it.", needs: needDatabase,
			flags: func(*flag.FlagSet) action {
				return func(ctx context.Context, t *terminal, args []string) error {
					arg, err := only(args, "grant id (see grant list)")
					if err != nil {
						return err
					}
					given, err := id.Parse(arg)
					if err != nil {
						return err
					}
					if err := t.core.grants.Revoke(ctx, given, t.operator()); err != nil {
						return err
					}
					return t.print(map[string]string{"id": arg}, func(w io.Writer) { fmt.Fprintln(w, "Revoked.") })
				}
			},
		},
	}
}

func listGrants(ctx context.Context, t *terminal, filter grant.Filter, limit int) error {
	all := []grant.Grant{}
	for before := (id.ID{}); len(all) < limit; {
		page := min(200, limit-len(all))
		some, err := t.core.grants.List(ctx, filter, before, page)
		if err != nil {
			return err
		}
		all = append(all, some...)
		if len(some) < page {
			break
		}
		before = some[page-1].ID
	}
	return t.print(all, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tCLIENT\tUSER\tSCOPES\tLIMITED\tSINCE\tEXPIRES")
		for _, g := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%t\t%s\t%s\n", g.ID, g.ClientID, g.UserID, strings.Join(g.Scopes, " "), len(g.Details) > 0,
				day(&g.CreatedAt), day(&g.ExpiresAt))
		}
	})
}
