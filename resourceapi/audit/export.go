package audit

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	"larder/internal/auditchain"
	"larder/internal/id"
	"larder/internal/web"
)

const (
	exportPart  = 1_000  // events read at once
	exportLimit = 50_000 // events of one answer
)

// export streams the log as NDJSON, newest first, an event a line, as it is
// chained. Where there is more than one answer holds, the last line is
// {"next": …}. An answer that breaks off was not the end.
func (h *Log) export(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	f, collection, err := h.filter(family, r)
	if err != nil {
		return err
	}
	f.limit, f.copied = exportPart-1, true
	part, err := h.selectPage(r.Context(), family, f)
	f.copied = false // that is noted once
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Content-Disposition", `attachment; filename="audit.ndjson"`)
	if err := h.stream(r.Context(), w, r, family, f, collection, part); err != nil {
		web.Annotate(r.Context(), slog.String("export", err.Error()))
		panic(http.ErrAbortHandler) // the answer has begun: breaking it off is all that can still be said
	}
	return nil
}

func (h *Log) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, family id.ID, f filter, collection string, part []auditchain.Event) error {
	out := json.NewEncoder(w)
	for written := 0; ; {
		for i := range part {
			if err := out.Encode(auditchain.Entry{FamilyID: family, Event: part[i]}); err != nil {
				return err
			}
		}
		if written += len(part); len(part) < exportPart {
			return nil
		}
		last := part[len(part)-1]
		f.Until, f.Last = last.OccurredAt, last.ID
		if written >= exportLimit {
			next, err := h.Cursors.Next(r, collection, place{f.Until, f.Last})
			if err != nil {
				return err
			}
			return out.Encode(map[string]string{"next": next})
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		var err error
		if part, err = h.selectPage(ctx, family, f); err != nil {
			return err
		}
	}
}
