package main

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"larder/internal/id"
)

// world is a model, in plain Go, of two families that share their people:
// somebody may be admin here, guest there, and was a member yesterday.
type world struct {
	h        *household // for its service
	people   []string
	callers  map[string]caller
	families [2]*kin

	probes, allowed int
}

// kin is what the model knows of a family.
type kin struct {
	id, admin string
	roles     map[string]string // by person
	lists     map[string]*shelf
}

// shelf is a list. What is on it is named after it, so that an answer that shows
// any of it to a stranger gives itself away.
type shelf struct {
	mark     string
	maker    string
	owner    string // of a personal one
	archived bool
	grants   map[string][]string
	items    map[string]bool
}

func (k *kin) path() string { return "/v1/families/" + k.id }

// reaches says whether a person may know of a list.
func (k *kin) reaches(who string, s *shelf) bool {
	switch role := k.roles[who]; {
	case s == nil || role == "":
		return false
	case s.owner != "":
		return s.owner == who && role != "guest"
	case role == "guest":
		return len(s.grants[who]) > 0
	default:
		return true
	}
}

// may says whether a person may do a thing to the items of a list.
func (k *kin) may(who string, s *shelf, verb string) bool {
	return k.reaches(who, s) && (k.roles[who] != "guest" || verb == "view" ||
		slices.Contains(s.grants[who], verb) || slices.Contains(s.grants[who], "manage"))
}

func newWorld(t testing.TB, s *service, names *int) *world {
	t.Helper()
	w := &world{h: &household{service: s}, callers: map[string]caller{}}
	for range 5 {
		*names++
		name := "person-" + strconv.Itoa(*names)
		w.people, w.callers[name] = append(w.people, name), s.user(name)
	}
	for n := range w.families {
		admin := w.people[n]
		made := s.want(t, 201, w.callers[admin], "POST", "/v1/families", map[string]any{"name": "Family", "display_name": "A"})
		w.families[n] = &kin{id: made.field(t, "id"), admin: admin, roles: map[string]string{admin: "admin"}, lists: map[string]*shelf{}}
	}
	return w
}

func (w *world) in(k *kin) *household {
	h := *w.h
	h.id, h.path, h.admin = k.id, k.path(), w.callers[k.admin]
	return &h
}

func namesOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// happen does one thing, as somebody who may, and has the model follow.
func (w *world) happen(t testing.TB, rt *rapid.T) {
	t.Helper()
	k := w.families[rapid.IntRange(0, 1).Draw(rt, "family")]
	h, who := w.in(k), rapid.SampledFrom(w.people).Draw(rt, "person")
	role, known := k.roles[who]
	switch what := rapid.IntRange(0, 7).Draw(rt, "what happens"); {
	case what < 3 && len(k.lists) < 6 || len(k.lists) == 0: // a list
		s := &shelf{grants: map[string][]string{}, items: map[string]bool{}}
		maker, kind := k.admin, "shared"
		if role == "admin" || role == "member" {
			if maker = who; rapid.Bool().Draw(rt, "personal") {
				s.owner, kind = who, "personal"
			}
		}
		s.mark, s.maker = "mark-"+id.New().String(), maker
		made := h.list(t, w.callers[maker], s.mark, kind)
		k.lists[made] = s
		for range 2 {
			s.items[h.add(t, w.callers[maker], made, s.mark)] = true
		}
	case who == k.admin:
	case !known:
		role := rapid.SampledFrom([]string{"member", "guest", "admin"}).Draw(rt, "role")
		h.join(t, w.callers[who], role, nil)
		k.roles[who] = role
	case what == 3:
		h.want(t, 204, h.admin, "DELETE", h.path+"/members/"+who, nil)
		delete(k.roles, who)
		for i, s := range k.lists {
			delete(s.grants, who)
			if s.owner == who {
				delete(k.lists, i)
			}
		}
	case what == 4:
		k.roles[who] = rapid.SampledFrom([]string{"member", "guest", "admin"}).Draw(rt, "role")
		h.want(t, 200, h.admin, "PATCH", h.path+"/members/"+who, map[string]any{"role": k.roles[who]})
	default:
		w.grant(t, rt, k, who)
	}
}

// grant gives a guest some verbs on a shared list, or takes them away, or takes
// the list away.
func (w *world) grant(t testing.TB, rt *rapid.T, k *kin, who string) {
	t.Helper()
	h, list := w.in(k), rapid.SampledFrom(namesOf(k.lists)).Draw(rt, "list")
	s := k.lists[list]
	path := h.path + "/lists/" + list
	switch {
	case s.owner != "":
	case k.roles[who] != "guest":
		if rapid.IntRange(0, 3).Draw(rt, "away with it") == 0 {
			h.want(t, 204, h.admin, "DELETE", path, nil, "If-Match", "*")
			delete(k.lists, list)
		}
	case len(s.grants[who]) > 0 && rapid.Bool().Draw(rt, "withdraw"):
		h.want(t, 204, h.admin, "DELETE", path+"/permissions/"+who, nil)
		delete(s.grants, who)
	default:
		verbs := []string{"view"}
		if verb := rapid.SampledFrom([]string{"view", "check", "add", "edit", "manage"}).Draw(rt, "verb"); verb != "view" {
			verbs = append(verbs, verb)
		}
		h.want(t, 200, h.admin, "PUT", path+"/permissions/"+who, map[string]any{"verbs": verbs})
		s.grants[who] = verbs
	}
}

// probe has anybody ask for anything, with the ids of either family put into the
// paths of either, and holds the answer against the model.
func (w *world) probe(t testing.TB, rt *rapid.T) {
	t.Helper()
	var (
		k     = w.families[rapid.IntRange(0, 1).Draw(rt, "family")]
		from  = w.families[rapid.IntRange(0, 1).Draw(rt, "list of")]
		who   = rapid.SampledFrom(w.people).Draw(rt, "who")
		list  = id.New().String()
		item  = id.New().String()
		items []string
	)
	if len(from.lists) > 0 {
		list = rapid.SampledFrom(namesOf(from.lists)).Draw(rt, "list")
		items = namesOf(from.lists[list].items)
	}
	if other := w.families[rapid.IntRange(0, 1).Draw(rt, "item of")]; len(other.lists) > 0 && rapid.IntRange(0, 3).Draw(rt, "another's item") == 0 {
		items = namesOf(other.lists[rapid.SampledFrom(namesOf(other.lists)).Draw(rt, "its list")].items)
	}
	if len(items) > 0 {
		item = rapid.SampledFrom(items).Draw(rt, "item")
	}
	s := k.lists[list] // nil for one of the other family
	on := s != nil && s.items[item]
	lists := k.path() + "/lists"
	there := lists + "/" + list + "/items"
	one := there + "/" + item
	note := map[string]any{"note": "n" + strconv.Itoa(rapid.IntRange(0, 9).Draw(rt, "note"))}
	var got reply
	var may bool
	what := rapid.IntRange(0, 12).Draw(rt, "what")
	ask := func(allowed bool, method, path string, body any) {
		may, got = allowed, w.h.do(t, w.callers[who], method, path, body)
	}
	switch what {
	case 0:
		ask(k.roles[who] != "", "GET", k.path(), nil)
	case 1:
		ask(k.roles[who] != "", "GET", lists+"?limit=200", nil)
	case 2:
		ask(k.reaches(who, s), "GET", lists+"/"+list, nil)
	case 3:
		ask(k.reaches(who, s), "GET", there, nil)
	case 4:
		ask(k.reaches(who, s) && on, "GET", one, nil)
	case 5:
		ask(k.may(who, s, "check") && on, "PUT", one+"/check", nil)
	case 6:
		ask(k.may(who, s, "edit") && on, "PATCH", one, note)
	case 7:
		w.add(t, rt, k, s, who, there)
		return
	case 8:
		ask(k.roles[who] != "", "POST", k.path()+"/sync", map[string]any{"operations": []any{map[string]any{
			"operation_id": id.New(), "op": "item.check", "list_id": list, "item_id": item,
		}}})
		if may {
			if done := strings.Contains(string(got.body), `"status":"applied"`); done != (k.may(who, s, "check") && on && !s.archived) {
				rt.Fatalf("%s syncs a check of %s: %s", who, one, got.body)
			}
		}
	case 9:
		ask(k.mayMake(who), "GET", k.path()+"/members", nil)
	default:
		w.keep(t, rt, k, who, list, s)
		return
	}
	if what == 5 || what == 6 {
		w.judgeChange(rt, k, who, may, s, got)
		return
	}
	w.judge(rt, k, who, may, s, got)
	if may && what == 1 {
		w.wantLists(rt, k, who, got)
	}
}

// add adds an item, now and then under the id of another family's.
func (w *world) add(t testing.TB, rt *rapid.T, k *kin, s *shelf, who, there string) {
	t.Helper()
	item := id.New().String()
	if s == nil || len(s.items) > 12 {
		return
	}
	may := k.may(who, s, "add")
	if other := w.families[0]; other != k && len(other.lists) > 0 && rapid.Bool().Draw(rt, "an id of theirs") {
		if theirs := namesOf(other.lists[namesOf(other.lists)[0]].items); len(theirs) > 0 && !k.has(theirs[0]) {
			item = theirs[0]
		}
	}
	got := w.h.do(t, w.callers[who], "POST", there, map[string]any{"id": item, "name": s.mark})
	w.judgeChange(rt, k, who, may, s, got)
	if may && !s.archived {
		s.items[item] = true
	}
}

func (k *kin) has(item string) bool {
	for _, s := range k.lists {
		if s.items[item] {
			return true
		}
	}
	return false
}

// judge wants an allowed request answered, any other refused, as if what it asks
// for did not exist where the person may not know of it, and no answer to show
// anything of a list that is out of reach.
func (w *world) judge(rt *rapid.T, k *kin, who string, may bool, s *shelf, got reply) {
	w.probes++
	if may {
		w.allowed++
	}
	known := k.roles[who] != "" && (s == nil || k.reaches(who, s))
	switch ok := got.status >= 200 && got.status < 300; {
	case ok != may, !ok && got.status != http.StatusForbidden && got.status != http.StatusNotFound, k.roles[who] == "" && got.status != http.StatusNotFound,
		!known && k.roles[who] != "guest" && !ok && got.status != http.StatusNotFound:
		rt.Fatalf("%s, who is %q in %s, was answered %d %s; allowed: %v", who, k.roles[who], k.id, got.status, got.body, may)
	}
	for _, other := range w.families {
		for _, hidden := range other.lists {
			if (other != k || !k.reaches(who, hidden)) && strings.Contains(string(got.body), hidden.mark) {
				rt.Fatalf("%s, who is %q in %s, was shown %s", who, k.roles[who], k.id, got.body)
			}
		}
	}
}

// wantLists wants exactly those lists that are in reach.
func (w *world) wantLists(rt *rapid.T, k *kin, who string, got reply) {
	for i, s := range k.lists {
		if shown := strings.Contains(string(got.body), i); shown != k.reaches(who, s) {
			rt.Fatalf("%s, who is %q in %s: list %s shown: %v in %s", who, k.roles[who], k.id, s.mark, shown, got.body)
		}
	}
}

// TestFamiliesKeepToThemselves lets two families of the same people live, and
// probes them all the while. make probe asks 100,000 times.
func TestFamiliesKeepToThemselves(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	names, probes, allowed := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, s, &names)
		for range rapid.IntRange(3, 8).Draw(rt, "turns") {
			w.happen(t, rt)
			for range 5 {
				w.probe(t, rt)
			}
		}
		probes, allowed = probes+w.probes, allowed+w.allowed
	})
	t.Logf("%d probes, %d of them allowed", probes, allowed)
	if probes < 2000 || allowed < probes/10 || allowed > probes*9/10 {
		t.Errorf("too thin: %d probes, %d allowed", probes, allowed)
	}
}
