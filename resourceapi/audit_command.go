package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"larder/internal/auditchain"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/resourceapi/tenant"
)

// errTampered says that a log is not as it was written, and that the user was told.
var errTampered = errors.New("the audit log was changed")

// auditSeals returns what signs checkpoints of the audit log: the current
// key-encryption key, else the client's secret. Checkpoints of keys that are
// still configured can be verified.
func auditSeals(cfg Config) (*auditchain.Seals, error) {
	return auditchain.NewSeals("resourceapi", append(slices.Clone(cfg.KeyEncryptionKeys), []byte(cfg.ClientSecret.Reveal()))...)
}

// runAudit is the operators' view of the families' audit logs.
func runAudit(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) error {
	if len(args) == 0 || args[0] != "verify" && args[0] != "export" {
		fmt.Fprintln(errOut, "resourceapi: audit takes verify or export. Try: resourceapi help")
		return errUsage
	}
	var (
		only         id.ID
		kept         []string
		s            auditchain.Selection
		since, until string
	)
	command, rest := args[0], args[1:]
	flags := flag.NewFlagSet("audit "+command, flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Func("family", "only this `family`", func(v string) (err error) { only, err = id.Parse(v); return err })
	if command == "verify" {
		flags.Func("checkpoint", "a `token` that was kept elsewhere; may be repeated", func(v string) error { kept = append(kept, v); return nil })
	} else {
		flags.StringVar(&s.Action, "action", "", "only this action, such as list.deleted")
		flags.StringVar(&s.Result, "result", "", "only success, failure or denied")
		flags.StringVar(&s.Actor, "actor", "", "only what this one did")
		flags.StringVar(&s.Target, "target", "", "only what was done to this")
		flags.StringVar(&s.Seen, "seen", "", "true: only what was looked at; false: only the rest")
		flags.StringVar(&since, "since", "", "not before this `time` (RFC 3339)")
		flags.StringVar(&until, "until", "", "before this `time` (RFC 3339)")
	}
	if err := flags.Parse(rest); err != nil || flags.NArg() > 0 {
		return errUsage
	}
	for text, to := range map[*string]*time.Time{&since: &s.Since, &until: &s.Until} {
		if *text == "" {
			continue
		}
		var err error
		if *to, err = time.Parse(time.RFC3339, *text); err != nil {
			fmt.Fprintln(errOut, "resourceapi: a time is written like 2026-01-31T08:00:00Z")
			return errUsage
		}
	}
	chain, done, err := openChain(ctx, getenv)
	if err != nil {
		return err
	}
	defer done()
	families := []id.ID{only}
	if only.IsZero() {
		if families, err = chain.Families(ctx); err != nil {
			return err
		}
	}
	if command == "export" {
		for _, family := range families {
			if err := chain.Export(ctx, family, s, out); err != nil {
				return err
			}
		}
		return nil
	}
	return verifyAudit(ctx, chain, families, kept, out)
}

func openChain(ctx context.Context, getenv func(string) string) (*auditchain.Chain, func(), error) {
	cfg, err := loadConfig(getenv, needDatabase)
	if err != nil {
		return nil, nil, err
	}
	seals, err := auditSeals(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: set RESOURCEAPI_KEY_ENCRYPTION_KEYS and RESOURCEAPI_CLIENT_SECRET as the service has them", err)
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL, 2)
	if err != nil {
		return nil, nil, err
	}
	return &auditchain.Chain{
		Tables: auditchain.Grocery(), Begin: (&tenant.DB{Pool: pool, Now: clock}).Keeper, Seals: seals, Now: clock, Log: slog.New(slog.DiscardHandler),
	}, pool.Close, nil
}

// verifyAudit prints a report for each family, a line each.
func verifyAudit(ctx context.Context, chain *auditchain.Chain, families []id.ID, kept []string, out io.Writer) error {
	intact := true
	for _, family := range families {
		report, err := chain.Verify(ctx, family, kept...)
		if err != nil {
			return err
		}
		intact = intact && report.Intact
		line, err := json.Marshal(struct {
			FamilyID id.ID `json:"family_id"`
			*auditchain.Report
		}{family, report})
		if err != nil {
			return err
		}
		fmt.Fprintln(out, string(line))
	}
	if !intact {
		return errTampered
	}
	return nil
}
