package main

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"larder/internal/id"
)

// mayKeep says whether a person may rename a list, put it away and bring it back.
func (k *kin) mayKeep(who string, s *shelf) bool {
	return k.reaches(who, s) && (k.roles[who] != "guest" || slices.Contains(s.grants[who], "manage"))
}

// mayDelete says whether a person may take a list away: an admin any, a member his own.
func (k *kin) mayDelete(who string, s *shelf) bool {
	return k.reaches(who, s) && (k.roles[who] == "admin" || k.roles[who] == "member" && s.maker == who)
}

// mayShare says whether a person may say what guests do on a list.
func (k *kin) mayShare(who string, s *shelf) bool { return k.mayDelete(who, s) && s.owner == "" }

func (k *kin) mayMake(who string) bool { return k.roles[who] == "admin" || k.roles[who] == "member" }

// keep has anybody try to do something with a whole list, s, which is nil for one that the family has not, and the model
// follow what was done.
func (w *world) keep(t testing.TB, rt *rapid.T, k *kin, who, list string, s *shelf) {
	t.Helper()
	path := k.path() + "/lists/" + list
	switch what := rapid.IntRange(0, 9).Draw(rt, "what of the list"); {
	case what < 5:
		w.change(t, rt, k, s, who, path)
	case what == 5:
		may := k.mayDelete(who, s)
		w.judge(rt, k, who, may, s, w.h.do(t, w.callers[who], "DELETE", path, nil, "If-Match", "*"))
		if may {
			delete(k.lists, list)
		}
	case what < 8:
		w.share(t, rt, k, s, who, path)
	default:
		w.make(t, rt, k, s, who, list)
	}
}

// change renames a list, makes a template of it or no more, archives it, or brings it back.
func (w *world) change(t testing.TB, rt *rapid.T, k *kin, s *shelf, who, path string) {
	t.Helper()
	body, archived := map[string]any{}, rapid.Bool().Draw(rt, "archived")
	switch rapid.IntRange(0, 3).Draw(rt, "change") {
	case 0:
		body["template"] = rapid.Bool().Draw(rt, "template")
	case 1:
		name := id.New().String() // in vain: else the mark stays in it
		if s != nil {
			name = s.mark + " " + strconv.Itoa(rapid.IntRange(0, 9).Draw(rt, "name"))
		}
		body["name"] = name
	default:
		body["archived"] = archived
	}
	may := k.mayKeep(who, s)
	w.judge(rt, k, who, may, s, w.h.do(t, w.callers[who], "PATCH", path, body))
	if may && body["archived"] != nil {
		s.archived = archived
	}
}

// share grants one of the people something on a list, or takes it away; only a guest can be granted anything.
func (w *world) share(t testing.TB, rt *rapid.T, k *kin, s *shelf, who, path string) {
	t.Helper()
	whom := rapid.SampledFrom(w.people).Draw(rt, "with")
	path += "/permissions/" + whom
	may := k.mayShare(who, s)
	if rapid.IntRange(0, 2).Draw(rt, "no more") == 0 {
		may = may && s.grants[whom] != nil
		w.judge(rt, k, who, may, s, w.h.do(t, w.callers[who], "DELETE", path, nil))
		if may {
			delete(s.grants, whom)
		}
		return
	}
	verbs := []string{rapid.SampledFrom([]string{"view", "check", "add", "edit", "manage"}).Draw(rt, "verb")}
	got := w.h.do(t, w.callers[who], "PUT", path, map[string]any{"verbs": verbs})
	if may && k.roles[whom] != "guest" {
		if w.probes++; got.status != 409 || !strings.Contains(string(got.body), "not_a_guest") {
			rt.Fatalf("shared with somebody who is %q: %d %s", k.roles[whom], got.status, got.body)
		}
		return
	}
	w.judge(rt, k, who, may, s, got)
	if may {
		s.grants[whom] = verbs
	}
}

// make makes a list, of nothing or from another. What is copied stays with whoever copies it, for it tells of the other.
func (w *world) make(t testing.TB, rt *rapid.T, k *kin, from *shelf, who, list string) {
	t.Helper()
	if len(k.lists) >= 10 {
		return
	}
	s := &shelf{mark: "mark-" + id.New().String(), maker: who, grants: map[string][]string{}, items: map[string]bool{}}
	body := map[string]any{"id": id.New(), "name": s.mark, "kind": "shared"}
	may := k.mayMake(who)
	if copied := rapid.Bool().Draw(rt, "copied"); copied || rapid.Bool().Draw(rt, "personal") {
		s.owner, body["kind"] = who, "personal"
		if copied {
			body["from"] = list
			may = may && k.reaches(who, from)
		}
	}
	got := w.h.do(t, w.callers[who], "POST", k.path()+"/lists", body)
	w.judge(rt, k, who, may, nil, got)
	if may {
		k.lists[got.field(t, "id")] = s
	}
}

// judgeChange is judge for a change to what is on a list, which one that was put away does not take.
func (w *world) judgeChange(rt *rapid.T, k *kin, who string, may bool, s *shelf, got reply) {
	if !may || !s.archived {
		w.judge(rt, k, who, may, s, got)
		return
	}
	if w.probes++; got.status != 409 || !strings.Contains(string(got.body), `"code":"archived"`) {
		rt.Fatalf("%s changed something on a list that was put away: %d %s", who, got.status, got.body)
	}
}
