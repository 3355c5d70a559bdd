package admin

import (
	"context"
	"net/http"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/secret"
	"larder/internal/web"
)

// Users keeps accounts.
type Users interface {
	User(ctx context.Context, subject id.ID) (*oidc.User, error)
	List(ctx context.Context, after id.ID, limit int) ([]oidc.User, error)
	Disable(ctx context.Context, by audit.Actor, user id.ID) error
	Enable(ctx context.Context, by audit.Actor, user id.ID) error
	SetClaims(ctx context.Context, by audit.Actor, user id.ID, name string, claims map[string]any) error
}

// NewUser is the body of POST /admin/v1/users. Without a password the account
// cannot sign in yet.
type NewUser struct {
	Name          string        `json:"name"`
	Email         string        `json:"email"`
	EmailVerified bool          `json:"email_verified"`
	Password      secret.String `json:"password"`
	Operator      bool          `json:"operator"`
}

// UserHandler serves /admin/v1/users.
type UserHandler struct {
	Users   Users
	Create  func(ctx context.Context, by audit.Actor, n NewUser) (id.ID, error)
	Cursors func() paging.Signer
}

// Mount adds the routes.
func (h *UserHandler) Mount(rt Routes) {
	rt.Handle(http.MethodGet, "/admin/v1/users", h.list)
	rt.Handle(http.MethodPost, "/admin/v1/users", h.create)
	rt.Handle(http.MethodGet, "/admin/v1/users/{id}", h.show)
	rt.Handle(http.MethodPatch, "/admin/v1/users/{id}", h.patch)
}

// userView is an account as operators see it.
type userView struct {
	ID            id.ID  `json:"id"`
	Name          string `json:"name"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	Operator      bool   `json:"operator"`
	Disabled      bool   `json:"disabled"`

	Profile map[string]any `json:"profile"` // standard claims of OpenID Connect Core §5.1
}

func viewUser(u *oidc.User) userView {
	return userView{u.ID, u.Name, u.Email, u.EmailVerified, u.Operator, u.Disabled, u.Profile}
}

type userPage struct {
	Users []userView `json:"users"`
	Next  string     `json:"next,omitempty"`
}

func (h *UserHandler) list(w http.ResponseWriter, r *http.Request) error {
	const collection = "admin/users"
	var after id.ID
	limit, err := h.Cursors().Page(r, collection, &after)
	if err != nil {
		return err
	}
	users, err := h.Users.List(r.Context(), after, limit)
	if err != nil {
		return err
	}
	answer := userPage{Users: make([]userView, 0, len(users))}
	for i := range users {
		answer.Users = append(answer.Users, viewUser(&users[i]))
	}
	if len(users) == limit {
		if answer.Next, err = h.Cursors().Next(r, collection, users[limit-1].ID); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, answer)
}

func (h *UserHandler) create(w http.ResponseWriter, r *http.Request) error {
	var body NewUser
	if err := web.DecodeJSON(r, &body); err != nil {
		return err
	}
	user, err := h.Create(r.Context(), Actor(r.Context()), body)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/admin/v1/users/"+user.String())
	return h.answer(w, r, http.StatusCreated, user)
}

func (h *UserHandler) show(w http.ResponseWriter, r *http.Request) error {
	user, err := pathID(r)
	if err != nil {
		return err
	}
	return h.answer(w, r, http.StatusOK, user)
}

func (h *UserHandler) patch(w http.ResponseWriter, r *http.Request) error {
	user, err := pathID(r)
	if err != nil {
		return err
	}
	var body struct {
		Disabled *bool          `json:"disabled"`
		Profile  map[string]any `json:"profile"` // what is null or empty goes, what is left out stays
	}
	if err := web.DecodeJSON(r, &body); err != nil {
		return err
	}
	if body.Profile != nil {
		if err := h.Users.SetClaims(r.Context(), Actor(r.Context()), user, "", body.Profile); err != nil {
			return err
		}
	}
	switch {
	case body.Disabled == nil && body.Profile == nil:
		err = fault.New(fault.Invalid, "Nothing is to be changed.").WithFields(fault.Field{Pointer: "/disabled", Detail: "must be true or false"})
	case body.Disabled == nil:
	case *body.Disabled:
		err = h.Users.Disable(r.Context(), Actor(r.Context()), user)
	default:
		err = h.Users.Enable(r.Context(), Actor(r.Context()), user)
	}
	if err != nil {
		return err
	}
	return h.answer(w, r, http.StatusOK, user)
}

func (h *UserHandler) answer(w http.ResponseWriter, r *http.Request, status int, user id.ID) error {
	u, err := h.Users.User(r.Context(), user)
	if err != nil {
		return err
	}
	return web.JSON(w, status, viewUser(u))
}

// pathID reads {id}; what is no id is not found.
func pathID(r *http.Request) (id.ID, error) {
	v, err := id.Parse(web.Var(r, "id"))
	if err != nil {
		return id.ID{}, fault.New(fault.NotFound, "There is nothing of this id.")
	}
	return v, nil
}
