package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestAFamilyReadsExportsAndVerifiesItsAuditLog(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	early := h.want(t, 200, h.admin, "GET", h.path+"/audit/verify", nil).field(t, "checkpoint") // of a chain without an entry
	for range 2 {
		h.want(t, 200, h.member, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	}
	byTarget := h.want(t, 200, h.admin, "GET", h.path+"/audit?target="+h.item, nil)
	if body := string(byTarget.body); strings.Count(body, `"target":"`+h.item) != 2 || strings.Count(body, `"target"`) != 2 {
		t.Errorf("by target: %s", body)
	}
	if body := string(h.want(t, 200, h.admin, "GET", h.path+"/audit?actor=user:bob", nil).body); !strings.Contains(body, `"item.checked"`) {
		t.Errorf("by actor, as created_by names him: %s", body)
	}
	export := h.want(t, 200, h.admin, "GET", h.path+"/audit/export?actor=bob", nil)
	lines := strings.Split(strings.TrimSpace(string(export.body)), "\n")
	if len(lines) < 2 || export.header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("exported %s as %s", export.body, export.header.Get("Content-Type"))
	}
	for _, line := range lines {
		var event struct {
			FamilyID string `json:"family_id"`
			Actor    struct{ ID string }
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.FamilyID != h.id || event.Actor.ID != "bob" {
			t.Errorf("%v in %s", err, line)
		}
	}

	var report struct {
		Intact             bool
		Entries, Unsettled int
		Checkpoint         string
		Findings           []struct{ Fault string }
	}
	h.want(t, 200, h.guest, "GET", h.path+"/export.csv", nil)
	for action, who := range map[string]string{"audit.exported": "ann", "family.exported": "gus"} { // written behind the request
		var found string
		for range looks {
			if found = string(h.want(t, 200, h.admin, "GET", h.path+"/audit?action="+action, nil).body); strings.Contains(found, action) {
				break
			}
			sleep(t)
		}
		if strings.Count(found, `"action":"`+action) != 1 || !strings.Contains(found, `"id":"`+who+`"`) {
			t.Errorf("who took a copy: %s", found)
		}
	}
	for range looks {
		if _, err := h.chain.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.want(t, 200, h.admin, "GET", h.path+"/audit/verify", nil).into(t, &report)
		if report.Entries >= 15 && report.Unsettled == 0 {
			break
		}
		sleep(t)
	}
	if !report.Intact || report.Entries < 15 || report.Checkpoint == "" {
		t.Fatalf("%+v", report)
	}
	for _, kept := range []string{early, report.Checkpoint} {
		if got := h.want(t, 200, h.admin, "GET", h.path+"/audit/verify?checkpoint="+kept, nil); !strings.Contains(string(got.body), `"intact":true`) {
			t.Errorf("against a checkpoint that was kept: %s", got)
		}
	}
	h.want(t, 400, h.admin, "GET", h.path+"/audit/verify?checkpoint=e30.e30.e30", nil)
	h.want(t, 400, h.admin, "GET", h.path+"/audit/verify?cursor=nonsense", nil)
	for _, path := range []string{"/audit/export", "/audit/verify"} {
		h.want(t, 403, h.member, "GET", h.path+path, nil)
		h.want(t, 404, h.alien, "GET", h.path+path, nil)
	}

	// Operators see every family's, and learn of one that was changed.
	operator := func(args ...string) (string, error) {
		var out bytes.Buffer
		env := map[string]string{
			"RESOURCEAPI_DATABASE_URL": h.db.GroceryURL, "RESOURCEAPI_CLIENT_SECRET": h.cfg.ClientSecret.Reveal(),
		}
		err := run(t.Context(), append([]string{"audit"}, args...), func(name string) string { return env[name] }, nil, &out, &out)
		return out.String(), err
	}
	if out, err := operator("verify", "--checkpoint", report.Checkpoint); err != nil || !strings.Contains(out, `"intact":true`) {
		t.Errorf("verify: %s, %v", out, err)
	}
	if out, err := operator("export", "--family", h.id, "--action", "item.checked", "--since", "2020-01-01T00:00:00Z"); err != nil || strings.Count(out, "\n") < 1 || !strings.Contains(out, `"item.checked"`) {
		t.Errorf("export: %s, %v", out, err)
	}
	for _, wrong := range [][]string{{}, {"dance"}, {"verify", "--family", "x"}, {"export", "--since", "yesterday"}} {
		if _, err := operator(wrong...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v, want a word on how it is used", wrong, err)
		}
	}
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.audit_events SET actor_id = 'nobody' WHERE family_id = $1 AND action = 'list.created'`, h.id); err != nil {
		t.Fatal(err)
	}
	h.want(t, 200, h.admin, "GET", h.path+"/audit/verify", nil).into(t, &report)
	if report.Intact || len(report.Findings) == 0 || report.Findings[0].Fault != "changed" {
		t.Errorf("after a change: %+v", report)
	}
	if out, err := operator("verify"); !errors.Is(err, errTampered) || !strings.Contains(out, `"fault":"changed"`) {
		t.Errorf("verify after a change: %s, %v", out, err)
	}
}
