package holder

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"larder/internal/id"
)

const (
	scopeRead = "family:read family:write lists:read" // what people avoid takes more than reading
	patience  = 20 * time.Second                      // with one API
)

// Fetcher gets from addresses that the operator set, bounded; outbound.Client
// does.
type Fetcher interface {
	Get(ctx context.Context, address string, header http.Header) ([]byte, error)
}

// Holdings tells a person what the holders hold.
type Holdings struct {
	Holders []Holder
	Fetcher Fetcher
	// Sign makes a short access token of a person's for a resource.
	Sign func(ctx context.Context, person id.ID, resource, scope string) (string, error)
	Log  *slog.Logger
}

// holding is what one API holds of a person, or that it did not say.
type holding struct {
	API     string          `json:"api"`
	Data    json.RawMessage `json:"data"`
	Problem string          `json:"problem,omitempty"`
}

// Of asks every holder. One that does not answer leaves no gap that could be
// taken for nothing: it says so.
func (h *Holdings) Of(ctx context.Context, person id.ID) (any, error) {
	all := []holding{}
	for _, at := range h.Holders {
		one := holding{API: at.Resource}
		data, err := h.ask(ctx, at, person)
		switch {
		case err != nil:
			h.Log.LogAttrs(ctx, slog.LevelWarn, "an API did not say what it holds of a person",
				slog.String("api", at.Resource), slog.String("error", err.Error()))
			one.Problem = "This API did not answer. What it holds is missing here: please download again later."
		case !json.Valid(data):
			one.Problem = "This API broke off its answer. What it holds is missing here: please download again later."
		default:
			one.Data = data
		}
		all = append(all, one)
	}
	return all, nil
}

func (h *Holdings) ask(ctx context.Context, at Holder, person id.ID) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	token, err := h.Sign(ctx, person, at.Resource, scopeRead)
	if err != nil {
		return nil, err
	}
	return h.Fetcher.Get(ctx, at.Address+"/v1/me/export", http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/json"}})
}
