package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"larder/authserver/holder"
)

func erasureCommands() []command {
	return []command{
		{
			name: "erasure list", short: "List who was erased: the journal to keep beside backups.", needs: needDatabase,
			long: "\nUsers are named by ids that stand for nobody any more. With --json it is what erasure replay reads:\n\n" +
				"  authserver erasure list --json > erasures.json",
			flags: func(flags *flag.FlagSet) action {
				since := flags.String("since", "", "the first `day`, such as 2026-11-01")
				return func(ctx context.Context, t *terminal, args []string) error {
					var from time.Time
					if *since != "" {
						var err error
						if from, err = time.Parse(time.DateOnly, *since); err != nil {
							return fmt.Errorf("--since: %w", err)
						}
					}
					return listErasures(ctx, t, from)
				}
			},
		},
		{
			name: "erasure replay", short: "Erase once more whom a restored backup brought back. Reads a journal.", needs: needDatabase,
			long: "\nAccounts that are back are deleted within a minute, and every API is asked again to forget the people.\n\n" +
				"  authserver erasure replay < erasures.json",
			flags: func(*flag.FlagSet) action {
				return func(ctx context.Context, t *terminal, args []string) error {
					return replayErasures(ctx, t)
				}
			},
		},
	}
}

func listErasures(ctx context.Context, t *terminal, since time.Time) error {
	all, err := t.core.erasures.List(ctx, since)
	if err != nil {
		return err
	}
	if all == nil {
		all = []holder.Erasure{}
	}
	return t.print(all, func(w io.Writer) {
		fmt.Fprintln(w, "USER\tERASED\tWAITING")
		for _, e := range all {
			fmt.Fprintf(w, "%s\t%s\t%v\n", e.UserID, e.ErasedAt.UTC().Format(time.RFC3339), e.Waiting)
		}
	})
}

func replayErasures(ctx context.Context, t *terminal) error {
	var entries []holder.Erasure
	if err := json.NewDecoder(t.in).Decode(&entries); err != nil {
		return fmt.Errorf("the journal, as erasure list --json writes it: %w", err)
	}
	for _, e := range entries {
		if e.UserID.IsZero() || e.ErasedAt.IsZero() {
			return errors.New("the journal has an entry without user_id or erased_at; nothing was done")
		}
	}
	back, err := t.core.erasures.Replay(ctx, t.operator(), entries)
	if err != nil {
		return err
	}
	return t.print(map[string]int{"erased": len(entries), "were_back": back}, func(w io.Writer) {
		fmt.Fprintf(w, "%d erasures are asked for again; %d of the accounts were back and go within a minute.\n", len(entries), back)
	})
}
