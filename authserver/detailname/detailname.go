package detailname

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"larder/authserver/oidc"
	"larder/internal/id"
)

// patience is how long a page waits for names.
const patience = 2 * time.Second

// APIs fetches from an API; outbound.Client does.
type APIs interface {
	Get(ctx context.Context, address string, header http.Header) ([]byte, error)
}

// Names asks the APIs. Fill in the fields.
type Names struct {
	APIs APIs
	// Sign makes a short access token of a person's for a resource.
	Sign func(ctx context.Context, person id.ID, resource, scope string) (string, error)
	Log  *slog.Logger
}

// Of returns the names that the person knows the families and lists of details
// by, at the first of the resources that the request is for.
func (n *Names) Of(ctx context.Context, person id.ID, resources []string, details []oidc.AuthorizationDetail) oidc.DetailNames {
	names := oidc.DetailNames{}
	if len(details) == 0 || len(resources) == 0 {
		return names
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	token, err := n.Sign(ctx, person, resources[0], "family:read lists:read")
	for _, d := range details {
		if _, asked := names[d.FamilyID]; asked || err != nil {
			continue
		}
		names[d.FamilyID] = ""
		err = n.ask(ctx, resources[0]+"/v1/families/"+d.FamilyID.String(), token, names)
	}
	if err != nil {
		n.Log.LogAttrs(ctx, slog.LevelWarn, "names of authorization details not found", slog.String("error", err.Error()))
	}
	return names
}

// named is a family or a list of the API.
type named struct {
	ID   id.ID  `json:"id"`
	Name string `json:"name"`
}

func (n *Names) ask(ctx context.Context, family, token string, names oidc.DetailNames) error {
	header := http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/json"}}
	body, err := n.APIs.Get(ctx, family, header)
	if err != nil {
		return err
	}
	var one named
	if err := json.Unmarshal(body, &one); err != nil {
		return err
	}
	names[one.ID] = one.Name
	if body, err = n.APIs.Get(ctx, family+"/lists?limit=100", header); err != nil {
		return err
	}
	var page struct {
		Lists []named `json:"lists"`
	}
	err = json.Unmarshal(body, &page)
	for _, l := range page.Lists {
		names[l.ID] = l.Name
	}
	return err
}
