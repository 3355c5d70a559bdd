package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"larder/internal/auditchain"
)

// errTampered says that the audit log is not as it was written, and that the
// user was told.
var errTampered = errors.New("the audit log was changed")

func auditCommands() []command {
	return []command{
		{
			name: "audit verify", short: "Say whether the audit log is as it was written. Exits with 1 if not.", needs: needDatabase | needKeys,
			long: "Checkpoints are the lines `audit checkpoint` of the service's own log. One that was kept where nobody who owns the\n" +
				"database can change it proves that the log was not cut short:\n\n" +
				"  authserver audit verify --checkpoint eyJhbGciOiJFZERTQSI…",
			flags: func(flags *flag.FlagSet) action {
				var kept list
				flags.Var(&kept, "checkpoint", "a `token` that was kept elsewhere; may be repeated")
				return func(ctx context.Context, t *terminal, _ []string) error { return verifyAudit(ctx, t, kept) }
			},
		},
		{
			name: "audit export", short: "Print the audit log, newest first, an event a line (NDJSON).", needs: needDatabase,
			long: "  authserver audit export --action login.failed --since 2026-01-31T08:00:00Z > logins.ndjson",
			flags: func(flags *flag.FlagSet) action {
				var s auditchain.Selection
				flags.StringVar(&s.Action, "action", "", "only this action, such as login.failed")
				flags.StringVar(&s.Result, "result", "", "only success, failure or denied")
				flags.StringVar(&s.Actor, "actor", "", "only what this one did")
				flags.StringVar(&s.Target, "target", "", "only what was done to this")
				flags.Func("since", "not before this `time` (RFC 3339)", moment(&s.Since))
				flags.Func("until", "before this `time` (RFC 3339)", moment(&s.Until))
				return func(ctx context.Context, t *terminal, _ []string) error {
					return t.core.chain.Export(ctx, auditchain.Nobody(), s, t.out)
				}
			},
		},
	}
}

// moment reads a time into at.
func moment(at *time.Time) func(string) error {
	return func(v string) (err error) {
		if *at, err = time.Parse(time.RFC3339, v); err != nil {
			return errors.New("a time is written like 2026-01-31T08:00:00Z")
		}
		return nil
	}
}

func verifyAudit(ctx context.Context, t *terminal, kept []string) error {
	report, err := t.core.chain.Verify(ctx, auditchain.Nobody(), kept...)
	if err != nil {
		return err
	}
	err = t.print(report, func(w io.Writer) {
		fmt.Fprintf(w, "intact\t%t\n", report.Intact)
		fmt.Fprintf(w, "entries\t%d\n", report.Entries)
		fmt.Fprintf(w, "forgotten\t%d\t(older than the log is kept)\n", report.Forgotten)
		fmt.Fprintf(w, "unsettled\t%d\t(too new to be chained)\n", report.Unsettled)
		for _, f := range report.Findings {
			fmt.Fprintf(w, "%s\t%d\t%s\n", f.Fault, f.Seq, f.Detail)
		}
		if report.Intact {
			fmt.Fprintf(w, "checkpoint\t%s\n", report.Checkpoint)
		}
	})
	if err == nil && !report.Intact {
		err = errTampered
	}
	return err
}
