package main

import (
	"context"
	"flag"
	"fmt"
	"io"
)

func keyCommands() []command {
	return []command{
		{
			name: "keys list", short: "Show the keys that sign tokens.", needs: needDatabase,
			flags: func(*flag.FlagSet) action { return listKeys },
		},
		{
			name: "keys rotate", short: "Publish a new key for every algorithm.", needs: needDatabase | needKeys,
			long: `
A new key is in the key set at once and signs 12 minutes later, when every verifier has fetched it; the key before it
verifies for another day. This happens by itself every 30 days.

When a key is in wrong hands:
  authserver keys rotate --now
  authserver keys withdraw KID     (tokens that it signed stop verifying)`,
			flags: func(flags *flag.FlagSet) action {
				now := flags.Bool("now", false, "let the new keys sign at once: some verifiers will see a key they do not know and fetch")
				return func(ctx context.Context, t *terminal, args []string) error {
					if err := t.core.keys.Load(ctx); err != nil {
						return err
					}
					if err := t.core.keys.Rotate(ctx, *now, t.operator()); err != nil {
						return err
					}
					return listKeys(ctx, t, nil)
				}
			},
		},
		{
			name: "keys withdraw", args: "KID", short: "Take a replaced key out of the key set before its time.", needs: needDatabase | needKeys,
			flags: func(*flag.FlagSet) action {
				return func(ctx context.Context, t *terminal, args []string) error {
					kid, err := only(args, "key id (see keys list)")
					if err != nil {
						return err
					}
					if err := t.core.keys.Withdraw(ctx, kid, t.operator()); err != nil {
						return err
					}
					return listKeys(ctx, t, nil)
				}
			},
		},
		{
			name: "keys rewrap", short: "Seal every stored key with the first key-encryption key.", needs: needDatabase | needKeys,
			long: `
To replace the key-encryption key: put the new one first in AUTHSERVER_KEY_ENCRYPTION_KEYS, restart every replica, run this,
then take the old one out.`,
			flags: func(*flag.FlagSet) action { return rewrapKeys },
		},
	}
}

func listKeys(ctx context.Context, t *terminal, args []string) error {
	all, err := t.core.keys.List(ctx)
	if err != nil {
		return err
	}
	return t.print(all, func(w io.Writer) {
		fmt.Fprintln(w, "KID\tALG\tSTATE\tACTIVE FROM\tRETIRES")
		for _, s := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.KID, s.Alg, s.State, day(&s.ActivateAt), day(s.RetireAt))
		}
	})
}

func rewrapKeys(ctx context.Context, t *terminal, args []string) error {
	n, err := t.core.keys.Rewrap(ctx)
	if err != nil {
		return err
	}
	return t.print(map[string]int{"rewrapped": n}, func(w io.Writer) {
		fmt.Fprintf(w, "%d keys are sealed with the first key-encryption key.\n", n)
	})
}
