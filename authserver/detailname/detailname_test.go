package detailname_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/authserver/detailname"
	"larder/authserver/oidc"
	"larder/internal/id"
	"larder/internal/outbound"
)

func TestNamesAreWhatTheAPITellsThePerson(t *testing.T) {
	t.Parallel()
	ada, home, strange, weekly := id.New(), id.New(), id.New(), id.New()
	var asked []string
	api := http.NewServeMux()
	answer := func(path, body string) {
		api.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Header.Get("Authorization"))
			_, _ = w.Write([]byte(body))
		})
	}
	answer("/v1/families/"+home.String(), `{"id":"`+home.String()+`","name":"Home"}`)
	answer("/v1/families/"+home.String()+"/lists", `{"lists":[{"id":"`+weekly.String()+`","name":"Weekly"}]}`)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	names := &detailname.Names{
		APIs: outbound.New(outbound.Config{Timeout: time.Minute, MaxBody: 64 << 10, AllowLoopback: true}), Log: slog.New(slog.DiscardHandler),
		Sign: func(_ context.Context, person id.ID, resource, scope string) (string, error) {
			return person.String() + " at " + resource + " for " + scope, nil
		},
	}
	got := names.Of(t.Context(), ada, []string{server.URL}, []oidc.AuthorizationDetail{{FamilyID: home}, {FamilyID: home}, {FamilyID: strange}})
	if diff := cmp.Diff(oidc.DetailNames{home: "Home", weekly: "Weekly", strange: ""}, got); diff != "" {
		t.Error(diff)
	}
	token := "Bearer " + ada.String() + " at " + server.URL + " for family:read lists:read"
	if diff := cmp.Diff([]string{token, token}, asked); diff != "" {
		t.Error(diff)
	}
	server.Close()
	if got := names.Of(t.Context(), ada, []string{server.URL}, []oidc.AuthorizationDetail{{FamilyID: home}}); got[home] != "" {
		t.Errorf("without an API: %v", got)
	}
	if got := names.Of(t.Context(), ada, []string{server.URL}, nil); len(got) != 0 {
		t.Errorf("without details: %v", got)
	}
}
