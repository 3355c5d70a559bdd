package audit

import (
	"net/http"

	"larder/internal/auditchain"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// verify answers whether the log is as it was written.
func (h *Log) verify(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	collection := "audit-verify/" + family.String()
	var from *auditchain.Place
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		from = &auditchain.Place{}
		if err := h.Cursors.Open(collection, cursor, from); err != nil {
			return err
		}
	}
	var kept []auditchain.Checkpoint
	if token := r.URL.Query().Get("checkpoint"); token != "" {
		c, err := h.Chain.Open(token)
		if err != nil || c.FamilyID != family {
			return valid.Parameter("checkpoint", "is not one that this service gave for this family")
		}
		kept = append(kept, c)
	}
	var v *auditchain.Verification
	ctx := r.Context()
	err = h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Unabridged()
		v = h.Chain.Part(tx, family, from, kept)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.AuditRead, tx.Resource(policy.AuditResource, id.ID{}))
	})
	if err != nil {
		return err
	}
	switch {
	case v.Full:
		if v.Next, err = h.Cursors.Next(r, collection, v.At); err != nil {
			return err
		}
	case v.Intact:
		if v.Checkpoint, err = h.Chain.Checkpoint(family, v.At); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, v.Report)
}
