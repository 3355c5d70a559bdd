package kitchen

import (
	"encoding/json"
	"maps"
	"net/http"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/precondition"
	"larder/internal/web"
	"larder/resourceapi/tenant"
)

// Mount adds the routes.
func (s *Shelf[T, C, P]) Mount(rt *web.Router) {
	all := "/v1/families/{family_id}/" + s.Path
	one := all + "/{" + s.Param + "}"
	rt.Handle(http.MethodGet, all, s.handleList)
	rt.Handle(http.MethodPost, all, s.handleCreate)
	rt.Handle(http.MethodGet, one, s.handleGet)
	rt.Handle(http.MethodPatch, one, s.handlePatch)
	rt.Handle(http.MethodDelete, one, s.handleRemove)
}

// Named reads which thing of which family is meant.
func (s *Shelf[T, C, P]) Named(r *http.Request) (family, thing id.ID, err error) {
	if family, err = web.ID(r, "family_id"); err != nil {
		return family, thing, err
	}
	thing, err = web.ID(r, s.Param)
	return family, thing, err
}

func (s *Shelf[T, C, P]) handleList(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	all, err := s.selectAll(r.Context(), family)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{s.Path: all})
}

func (s *Shelf[T, C, P]) handleCreate(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	asked, err := decode(r)
	if err != nil {
		return err
	}
	draft, err := s.draft(asked)
	if err != nil {
		return err
	}
	made, err := s.create(r.Context(), family, draft)
	if fault.Is(err, fault.Conflict) { // the same draft may have won a race: then this is its answer too
		made, err = s.create(r.Context(), family, draft)
	}
	if err != nil {
		return err
	}
	e := P(made).Common()
	w.Header().Set("Location", "/v1/families/"+family.String()+"/"+s.Path+"/"+e.ID.String())
	precondition.SetETag(w, e.Version, e.Permissions...)
	return web.JSON(w, http.StatusCreated, made)
}

func (s *Shelf[T, C, P]) handleGet(w http.ResponseWriter, r *http.Request) error {
	family, thing, err := s.Named(r)
	if err != nil {
		return err
	}
	found, err := s.selectOne(r.Context(), family, thing)
	if err != nil {
		return err
	}
	e := P(found).Common()
	if precondition.NotModified(w, r, e.Version, e.Permissions...) {
		return nil
	}
	return web.JSON(w, http.StatusOK, found)
}

func (s *Shelf[T, C, P]) handlePatch(w http.ResponseWriter, r *http.Request) error {
	family, thing, err := s.Named(r)
	if err != nil {
		return err
	}
	asked, err := decode(r)
	if err != nil {
		return err
	}
	c, err := tenant.ReadMembers[C](asked)
	if err != nil {
		return err
	}
	changed, err := s.update(r.Context(), family, thing, func(to *T) error {
		if err := precondition.Check(r, P(to).Common().Version); err != nil {
			return err
		}
		return c.Apply(to)
	})
	if err != nil {
		return err
	}
	e := P(changed).Common()
	precondition.SetETag(w, e.Version, e.Permissions...)
	return web.JSON(w, http.StatusOK, changed)
}

func (s *Shelf[T, C, P]) handleRemove(w http.ResponseWriter, r *http.Request) error {
	family, thing, err := s.Named(r)
	if err != nil {
		return err
	}
	if err := s.remove(r.Context(), family, thing, func(version int64) error { return precondition.Require(r, version) }); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func decode(r *http.Request) (tenant.Members, error) {
	m := tenant.Members{}
	return m, web.DecodeJSON(r, &m)
}

// named is how the body of a new thing may say what id it is to have.
type named struct {
	ID id.ID `json:"id"`
}

// draft makes a new thing of what is asked for; there, a member that is null
// counts as absent.
func (s *Shelf[T, C, P]) draft(asked tenant.Members) (*T, error) {
	maps.DeleteFunc(asked, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
	wish := named{id.New()}
	if raw, there := asked["id"]; there {
		var err error
		if wish, err = tenant.ReadMembers[named](tenant.Members{"id": raw}); err != nil {
			return nil, err
		}
		delete(asked, "id")
	}
	c, err := tenant.ReadMembers[C](asked)
	if err != nil {
		return nil, err
	}
	made := s.New
	P(&made).Common().ID = wish.ID
	return &made, c.Apply(&made)
}
