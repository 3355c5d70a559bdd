package diet

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/precondition"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/tenant"
)

const maxChildren = 20 // of one family

// Child is what the admins of a family keep of a child. UserID is the child's
// account, nil for one without.
type Child struct {
	ID        id.ID     `json:"id"`
	Name      string    `json:"name"`
	UserID    *string   `json:"user_id"`
	Avoid     []string  `json:"avoid"`
	Also      []string  `json:"also"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func (h *Diets) mountChildren(rt *web.Router) {
	const all = "/v1/families/{family_id}/children"
	rt.Handle(http.MethodGet, all, h.listChildren)
	rt.Handle(http.MethodPost, all, h.createChild)
	rt.Handle(http.MethodGet, all+"/{child_id}", h.getChild)
	rt.Handle(http.MethodPatch, all+"/{child_id}", h.patchChild)
	rt.Handle(http.MethodDelete, all+"/{child_id}", h.removeChild)
}

func named(r *http.Request) (family, child id.ID, err error) {
	if family, err = web.ID(r, "family_id"); err != nil {
		return family, child, err
	}
	child, err = web.ID(r, "child_id")
	return family, child, err
}

type childChange struct {
	Name   valid.Field[string]   `json:"name"`
	UserID valid.Field[string]   `json:"user_id"`
	Avoid  valid.Field[[]string] `json:"avoid"`
	Also   valid.Field[[]string] `json:"also"`
}

// apply makes of a child what is asked for.
func (c childChange) apply(to *Child) error {
	var f valid.Form
	to.Name = f.Text("/name", c.Name.Or(&f, "/name", to.Name), 1, 200)
	s := secret{Avoid: c.Avoid.Or(&f, "/avoid", to.Avoid), Also: c.Also.Or(&f, "/also", to.Also)}
	s.check(&f)
	to.Avoid, to.Also = append([]string{}, s.Avoid...), append([]string{}, s.Also...)
	if to.UserID = c.UserID.OrNull(to.UserID); c.UserID.Value != nil {
		f.Text("/user_id", *c.UserID.Value, 1, 255)
	}
	return f.Err()
}

// draft makes a new child of what is asked for; there, a member that is null
// counts as absent.
func draft(asked tenant.Members) (*Child, error) {
	made := &Child{ID: id.New()}
	maps.DeleteFunc(asked, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
	if raw, there := asked["id"]; there {
		if err := web.ReadJSON(raw, &made.ID); err != nil {
			return nil, err
		}
		delete(asked, "id")
	}
	c, err := tenant.ReadMembers[childChange](asked)
	if err != nil {
		return nil, err
	}
	return made, c.apply(made)
}

// show answers with what nobody keeps a copy of.
func show(w http.ResponseWriter, status int, c *Child) error {
	w.Header().Set("Cache-Control", "no-store")
	precondition.SetETag(w, c.Version)
	return web.JSON(w, status, c)
}

func (h *Diets) listChildren(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	all, err := h.selectChildren(r.Context(), family, id.ID{})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusOK, map[string]any{"children": all})
}

func (h *Diets) createChild(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	asked := tenant.Members{}
	if err := web.DecodeJSON(r, &asked); err != nil {
		return err
	}
	d, err := draft(asked)
	if err != nil {
		return err
	}
	made, err := h.insertChild(r.Context(), family, d)
	if fault.Is(err, fault.Conflict) { // the same draft may have won a race: then this is its answer too
		made, err = h.insertChild(r.Context(), family, d)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/families/"+family.String()+"/children/"+made.ID.String())
	return show(w, http.StatusCreated, made)
}

func (h *Diets) getChild(w http.ResponseWriter, r *http.Request) error {
	family, child, err := named(r)
	if err != nil {
		return err
	}
	found, err := h.selectChildren(r.Context(), family, child)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return noSuchChild()
	}
	return show(w, http.StatusOK, &found[0])
}

func (h *Diets) patchChild(w http.ResponseWriter, r *http.Request) error {
	family, child, err := named(r)
	if err != nil {
		return err
	}
	asked := tenant.Members{}
	if err := web.DecodeJSON(r, &asked); err != nil {
		return err
	}
	c, err := tenant.ReadMembers[childChange](asked)
	if err != nil {
		return err
	}
	changed, err := h.updateChild(r.Context(), family, child, c, func(version int64) error { return precondition.Check(r, version) })
	if err != nil {
		return err
	}
	return show(w, http.StatusOK, changed)
}

func (h *Diets) removeChild(w http.ResponseWriter, r *http.Request) error {
	family, child, err := named(r)
	if err != nil {
		return err
	}
	if err := h.deleteChild(r.Context(), family, child, func(version int64) error { return precondition.Require(r, version) }); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func noSuchChild() error { return fault.New(fault.NotFound, "There is no such child here.") }
