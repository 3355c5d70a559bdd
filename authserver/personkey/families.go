package personkey

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
)

const (
	patience    = 3 * time.Second // with one API
	maxFamilies = 200
)

// Family is one that a person is in.
type Family struct {
	ID   id.ID  `json:"id"`
	Name string `json:"name"`
}

// API is one that knows families.
type API struct {
	Resource string // its resource indicator, which tokens name
	Address  string // where we reach it, without a trailing slash
}

// Fetcher gets from addresses that the operator set, bounded; outbound.Client
// does.
type Fetcher interface {
	Get(ctx context.Context, address string, header http.Header) ([]byte, error)
}

// Families asks the APIs which families a person is in, as that person: what we
// know of families is what we are told there.
type Families struct {
	APIs    []API
	Fetcher Fetcher
	// Sign makes a short access token of a person's for a resource.
	Sign func(ctx context.Context, person id.ID, resource, scope string) (string, error)
}

// Of fails with fault.Unavailable when an API does not answer.
func (f *Families) Of(ctx context.Context, person id.ID) ([]Family, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all []Family
	for _, api := range f.APIs {
		some, err := f.ask(ctx, api, person)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "Your families cannot be read right now. Try again in a moment.", err)
		}
		all = append(all, some...)
	}
	return all[:min(len(all), maxFamilies)], nil
}

func (f *Families) ask(ctx context.Context, api API, person id.ID) ([]Family, error) {
	token, err := f.Sign(ctx, person, api.Resource, "family:read")
	if err != nil {
		return nil, err
	}
	body, err := f.Fetcher.Get(ctx, api.Address+"/v1/families", http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/json"}})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Families []Family `json:"families"`
	}
	return answer.Families, json.Unmarshal(body, &answer)
}
