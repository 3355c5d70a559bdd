package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"larder/internal/id"
)

// requestsPerHistory is how many requests are made of each history of rapid.
const requestsPerHistory = 12

// operation is one of the document, with its parameters.
type operation struct {
	method, path string
	*openapi3.Operation
	parameters []*openapi3.Parameter
}

// operations lists those that take a credential, in the order of their ids.
func operations(t testing.TB) []operation {
	t.Helper()
	loaded, err := servedDocument()
	if err != nil {
		t.Fatal(err)
	}
	var all []operation
	for path, item := range loaded.Paths.Map() {
		for method, o := range item.Operations() {
			op := operation{method: method, path: path, Operation: o}
			for _, p := range append(slices.Clone(item.Parameters), o.Parameters...) {
				op.parameters = append(op.parameters, p.Value)
			}
			if strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/access/v1/") {
				all = append(all, op)
			}
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.OperationID, b.OperationID) })
	return all
}

// TestNoRequestIsAnsweredOutsideTheDocument sends every operation what its
// schemas allow and what they do not, from people who may and who may not. No
// answer is a 500, each is described, and nothing that breaks a schema is
// taken. By the end every operation has been carried out once at least.
func TestNoRequestIsAnsweredOutsideTheDocument(t *testing.T) {
	t.Parallel()
	all := operations(t)
	m := &mischief{service: newService(t, nil), t: t}
	m.begin()
	byHand := make(map[string]bool) // those whose good input takes knowing more than a schema says
	for _, name := range []string{"acceptInvitation", "erasePerson", "importFamily", "previewInvitation", "replayDelivery", "sync", "transferFamily", "undoItem"} {
		byHand[name] = true
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range requestsPerHistory {
			m.send(rt, all[rapid.IntRange(0, len(all)-1).Draw(rt, "operation")])
		}
	})
	for _, op := range all {
		for try := 0; !m.done[op.OperationID] && !byHand[op.OperationID]; try++ {
			if try == 500 {
				t.Errorf("%s was never carried out", op.OperationID)
				break
			}
			if try%25 == 24 {
				m.begin() // what the operation needs may be gone in this family
			}
			for _, maker := range all {
				name := made[maker.OperationID]
				if name != "" && strings.Contains(op.path, "{"+name+"}") || maker.path == op.path && maker.method == http.MethodPut && op.method == http.MethodDelete {
					m.good(maker, try)
				}
			}
			m.good(op, try)
		}
	}
}

// made is the parameter that the ids of what an operation makes are for.
var made = map[string]string{
	"addItem": "item_id", "addStock": "stock_id", "createFavourite": "favourite_id", "createInvitation": "invitation_id", "createChild": "child_id",
	"addRecurring": "recurring_id", "createList": "list_id", "installApp": "client_id", "createRecipe": "recipe_id", "createStore": "store_id", "createWebhook": "webhook_id",
}

// mischief makes requests, and remembers what the answers were.
type mischief struct {
	*service
	t        testing.TB
	families int
	ids      map[string][]string // by parameter
	callers  []caller            // the first is an admin of the family
	done     map[string]bool     // operations that were answered 2xx
}

// begin makes a family to work on; the one before was deleted, or has another
// admin or rules that keep this one from things.
func (m *mischief) begin() {
	m.families++
	h := m.household(m.t, "f"+strconv.Itoa(m.families)+"_")
	prefix := "f" + strconv.Itoa(m.families) + "_"
	machine := m.issuer.AppToken("machine", "lists:read lists:write family:read")
	m.callers = []caller{h.admin, h.admin, h.admin, h.member, h.guest, h.alien, m.scoped(prefix+"ann", "lists:read"), {machine}, {}, {"no.such.token"}}
	m.ids = map[string][]string{
		"family_id": {h.id}, "list_id": {h.shared, h.granted, h.private}, "item_id": {h.item, h.grantedItem, h.secretItem},
		"store_id": {h.store}, "stock_id": {h.stock}, "recipe_id": {h.recipe}, "webhook_id": {h.hook}, "favourite_id": {h.favourite}, "child_id": {h.child},
		"user_id": {prefix + "bob", prefix + "gus"}, "client_id": {"machine"},
	}
	if m.done == nil {
		m.done = make(map[string]bool)
	}
}

// send makes one request, good or not, and holds the answer against the
// document.
func (m *mischief) send(rt *rapid.T, op operation) {
	r := request(rt, m, op)
	got := m.exchange(rt, r.Request)
	if got.status == http.StatusInternalServerError {
		rt.Fatalf("%s: a 500\n%s", r, got.body)
	}
	if err := describedAnswer(r.Request, got); err != nil {
		rt.Fatalf("%s: %v", r, err)
	}
	if got.status < 300 && r.broken != "" && op.OperationID != "sync" && op.OperationID != "evaluateAll" { // which refuse what is in them one by one
		rt.Fatalf("%s: %d, though %s", r, got.status, r.broken)
	}
	m.note(op, got)
}

// good makes a request that nothing is wrong with.
func (m *mischief) good(op operation, seed int) {
	rapid.Custom(func(rt *rapid.T) bool {
		rapid.Bool().Draw(rt, "something") // rapid wants a draw
		r := draft{Request: &http.Request{}}
		r.Request = assemble(rt, m, op, &r, false)
		r.Header.Set("Authorization", "Bearer "+m.callers[0].token)
		m.note(op, m.exchange(rt, r.Request))
		return true
	}).Example(seed)
}

// note learns from an answer.
func (m *mischief) note(op operation, got reply) {
	if got.status >= 300 {
		return
	}
	m.done[op.OperationID] = true
	switch op.OperationID {
	case "deleteFamily", "transferFamily", "updateMember", "removeMember", "setRules":
		m.begin()
		return
	}
	name := made[op.OperationID]
	if got.status != http.StatusCreated || name == "" {
		return
	}
	var shown struct {
		ID       string `json:"id"`
		ClientID string `json:"client_id"`
	}
	if json.Unmarshal(got.body, &shown) == nil {
		m.ids[name] = append(m.ids[name], shown.ID+shown.ClientID)
	}
}

func (m *mischief) exchange(rt *rapid.T, r *http.Request) reply {
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r.WithContext(m.t.Context()))
	if err != nil {
		rt.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer answer.Body.Close()
	var body io.Reader = answer.Body
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		body = io.LimitReader(body, int64(len("event: "))) // it does not end by itself
	}
	read, err := io.ReadAll(body)
	if err != nil {
		rt.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return reply{answer.StatusCode, answer.Header, read}
}

// draft is a request and what is wrong with it, "" if no schema is broken.
type draft struct {
	*http.Request
	sent   []byte
	broken string
}

func (d draft) String() string {
	return d.Method + " " + d.URL.String() + " " + string(bytes.ToValidUTF8(d.sent, []byte("?")))
}

// request draws one for the operation.
func request(rt *rapid.T, m *mischief, op operation) draft {
	d := draft{}
	d.Request = assemble(rt, m, op, &d, true)
	if c := rapid.SampledFrom(m.callers).Draw(rt, "caller"); c.token != "" {
		d.Header.Set("Authorization", "Bearer "+c.token)
	}
	return d
}

// assemble fills in path, query, headers and body; bad says whether any of
// them may be wrong.
func assemble(rt *rapid.T, m *mischief, op operation, d *draft, bad bool) *http.Request {
	query, header, path := url.Values{}, http.Header{}, op.path
	for _, p := range op.parameters {
		value, fits := parameter(rt, m, p, bad)
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
		case !p.Required && rapid.Bool().Draw(rt, "absent"):
			continue
		case p.In == "query":
			query.Add(p.Name, value)
		case p.In == "header":
			header.Set(p.Name, strings.Map(printable, value))
		}
		prose := p.Schema.Value.Type.Is("string") && len(p.Schema.Value.Enum) == 0 // too long, it finds nothing
		if !fits && !prose && p.In == "query" && value != "" {
			d.broken = p.Name + " does not fit its schema"
		}
	}
	var body io.Reader
	if op.RequestBody != nil {
		schema := op.RequestBody.Value.Content.Get("application/json").Schema.Value
		d.sent = bodyOf(rt, m, schema, bad)
		body = bytes.NewReader(d.sent)
		header.Set("Content-Type", "application/json")
		if bad && rapid.IntRange(0, 19).Draw(rt, "media") == 0 {
			header.Set("Content-Type", rapid.SampledFrom([]string{"text/plain", "application/xml", "multipart/form-data", "/"}).Draw(rt, "type"))
			d.broken = "it is no JSON"
		}
		var sent any
		if err := json.Unmarshal(d.sent, &sent); err != nil {
			d.broken = err.Error()
		} else if err := schema.VisitJSON(withoutNulls(sent, op.method == http.MethodPost || op.method == http.MethodPut), openapi3.EnableJSONSchema2020()); err != nil {
			d.broken = err.Error()
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(m.t.Context(), op.method, m.base+path, body)
	if err != nil {
		rt.Fatal(err)
	}
	r.Header = header
	return r
}

// parameter draws the value of one, and says whether it fits the schema.
func parameter(rt *rapid.T, m *mischief, p *openapi3.Parameter, bad bool) (value string, fits bool) {
	known := m.ids[p.Name]
	if p.Name == "store" {
		known = m.ids["store_id"]
	}
	if strings.HasPrefix(p.Name, "If-") {
		known = []string{`"1"`, `"2"`, `"3"`, "*"}
		if !bad {
			known = []string{"*"}
		}
	}
	if bad && rapid.IntRange(0, 7).Draw(rt, "wrong") == 0 {
		value = rapid.SampledFrom(words).Draw(rt, p.Name)
		var v any = value
		if n, err := strconv.ParseFloat(value, 64); err == nil && !p.Schema.Value.Type.Permits("string") {
			v = n
		}
		if value == "true" && p.Schema.Value.Type.Permits("boolean") {
			v = true
		}
		return value, p.Schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020()) == nil
	}
	if len(known) > 0 && !bad {
		return known[len(known)-1], true
	}
	if len(known) > 0 && rapid.IntRange(0, 9).Draw(rt, "other") > 0 {
		return rapid.SampledFrom(known).Draw(rt, p.Name), true
	}
	switch v := valueOf(rt, m, p.Name, p.Schema.Value, false).(type) {
	case string:
		return v, true
	default:
		raw, _ := json.Marshal(v)
		return string(raw), true
	}
}

// words are such as have broken other services.
var words = []string{
	"", " ", ".", "..", "../../etc/passwd", "null", "undefined", "NaN", "-1", "0", "1e999", "99999999999999999999", "0x10", "1.5", "true",
	"\x00", "a\x00b", "\ufeff", "\u202egnp.exe", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "e\u0301\u0301\u0301", "\u2028", "%00", "%", "%zz", "a/b", `a\b`,
	"' OR 1=1 --", `"; DROP TABLE items; --`, "<script>alert(1)</script>", "${7*7}", "{{7*7}}", "\r\nSet-Cookie: a=b", "00000000-0000-0000-0000-000000000000",
	"2026-02-30", "2026-11-22T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-infinity", "Europe/Berlin", "EUR", strings.Repeat("a", 5000), strings.Repeat("\u00e4", 300),
}

// bodyOf draws a body.
func bodyOf(rt *rapid.T, m *mischief, schema *openapi3.Schema, bad bool) []byte {
	if bad {
		switch rapid.IntRange(0, 29).Draw(rt, "body") {
		case 0:
			return []byte(rapid.SampledFrom([]string{
				"", "{", "[]", "null", "1", `""`, "{}", `{"name":}`, `{"name":"a"}{"name":"b"}`, strings.Repeat("[", 9000), "\xff\xfe", `{"name":"\ud800"}`,
				`{"__proto__":{}}`, `{"name":` + strings.Repeat("9", 400) + `}`, `{"id":{}}`, `{"name":["a"]}`,
			}).Draw(rt, "raw"))
		case 1:
			return rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(rt, "bytes")
		}
	}
	raw, err := json.Marshal(valueOf(rt, m, "", schema, bad))
	if err != nil {
		rt.Fatal(err)
	}
	if bad && rapid.IntRange(0, 19).Draw(rt, "cut") == 0 {
		return raw[:rapid.IntRange(0, len(raw)).Draw(rt, "at")]
	}
	return raw
}

// valueOf draws a value of the schema for the member name, or with bad now and
// then one that is not of it.
func valueOf(rt *rapid.T, m *mischief, name string, s *openapi3.Schema, bad bool) any {
	if bad && rapid.IntRange(0, 24).Draw(rt, "wrong") == 0 {
		return rapid.SampledFrom([]any{
			nil, true, 0, -1, 1.5, 0.0001, 1e15, 1e300, json.Number("1e400"),
			[]any{},
			[]any{nil},
			map[string]any{},
			map[string]any{"a": nil},
			rapid.SampledFrom(words).Draw(rt, "word"),
		}).Draw(rt, name)
	}
	if len(s.Enum) > 0 {
		return rapid.SampledFrom(s.Enum).Draw(rt, name)
	}
	if s.Const != nil {
		return s.Const
	}
	if either := slices.Concat(s.AnyOf, s.OneOf); s.Type == nil && len(either) > 0 {
		return valueOf(rt, m, name, rapid.SampledFrom(either).Draw(rt, "either").Value, bad)
	}
	types := s.Type.Slice()
	if len(types) == 0 { // null, or anything
		return nil
	}
	switch kind := types[0]; {
	case len(types) > 1 && rapid.IntRange(0, 3).Draw(rt, "null") == 0:
		return nil
	case kind == "object":
		return object(rt, m, s, bad)
	case kind == "array":
		most := 3
		if s.MaxItems != nil {
			most = min(most, int(*s.MaxItems))
		}
		list := make([]any, rapid.IntRange(int(s.MinItems), most).Draw(rt, "length"))
		for i := range list {
			list[i] = valueOf(rt, m, name, s.Items.Value, bad)
		}
		return list
	case kind == "boolean":
		return rapid.Bool().Draw(rt, name)
	case kind == "integer" || kind == "number":
		return number(rt, name, s)
	default:
		return text(rt, m, name, s)
	}
}

// withoutNulls is v as the API takes it when something is made: members that
// are null count as absent.
func withoutNulls(v any, made bool) any {
	switch v := v.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(_ string, member any) bool { return member == nil && made })
		for name, member := range v {
			v[name] = withoutNulls(member, made)
		}
	case []any:
		for i, member := range v {
			v[i] = withoutNulls(member, made)
		}
	}
	return v
}

// printable leaves out what Go does not send in a header.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

func object(rt *rapid.T, m *mischief, s *openapi3.Schema, bad bool) any {
	v := make(map[string]any)
	required := slices.Clone(s.Required)
	if len(s.AnyOf) > 0 {
		required = append(required, rapid.SampledFrom(s.AnyOf).Draw(rt, "any").Value.Required...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if !slices.Contains(required, name) && rapid.IntRange(0, 2).Draw(rt, "absent") > 0 {
			continue
		}
		if bad && rapid.IntRange(0, 29).Draw(rt, "forget") == 0 {
			continue
		}
		v[name] = valueOf(rt, m, name, s.Properties[name].Value, bad)
	}
	if bad && rapid.IntRange(0, 29).Draw(rt, "more") == 0 {
		v[rapid.SampledFrom([]string{"family_id", "version", "created_by", "", "Name"}).Draw(rt, "member")] = 1
	}
	return v
}

func number(rt *rapid.T, name string, s *openapi3.Schema) any {
	low, high := 0.0, 1e6
	if s.Min != nil {
		low = *s.Min
	}
	if s.Max != nil {
		high = *s.Max
	}
	if s.ExclusiveMin.Value != nil {
		low = *s.ExclusiveMin.Value + 0.001
	}
	if s.Type.Is("integer") || rapid.Bool().Draw(rt, "whole") {
		return rapid.SampledFrom([]float64{max(1, low), high, max(low, 2), max(low, min(high, 17))}).Draw(rt, name)
	}
	return rapid.SampledFrom([]float64{low, max(low, 0.5), 1.125, 2.5}).Draw(rt, name)
}

func text(rt *rapid.T, m *mischief, name string, s *openapi3.Schema) string {
	switch {
	case s.Pattern != "":
		return rapid.StringMatching(s.Pattern).Draw(rt, name)
	case s.Format == "uuid":
		known := m.ids[name]
		if name == "after" {
			known = m.ids["item_id"]
		}
		if name == "from" {
			known = m.ids["list_id"]
		}
		if len(known) > 0 && rapid.IntRange(0, 5).Draw(rt, "known") > 0 {
			return rapid.SampledFrom(known).Draw(rt, name)
		}
		return id.New().String()
	case len(s.Examples) > 0 && rapid.IntRange(0, 3).Draw(rt, "example") > 0:
		word, _ := rapid.SampledFrom(s.Examples).Draw(rt, name).(string)
		return word
	case name == "id" && rapid.IntRange(0, 3).Draw(rt, "known") > 0: // of whatever sort
		return rapid.SampledFrom(slices.Concat(m.ids["family_id"], m.ids["list_id"], m.ids["item_id"], m.ids["user_id"])).Draw(rt, name)
	case s.Format == "date":
		return rapid.SampledFrom([]string{"2026-02-28", "2028-02-29", "0001-01-01", "9999-12-31"}).Draw(rt, name)
	case s.Format == "date-time":
		return m.server.tenants.Now().AddDate(0, 0, rapid.IntRange(-1, 20).Draw(rt, "days")).UTC().Format("2006-01-02T15:04:05Z")
	case name == "timezone":
		return rapid.SampledFrom([]string{"Europe/Berlin", "UTC", "Asia/Kathmandu"}).Draw(rt, name)
	case name == "url":
		return rapid.SampledFrom([]string{"http://127.0.0.1:9/x", "https://[::1]/", "http://10.0.0.1/", "ftp://example.com", "https://user:pw@127.0.0.1/"}).Draw(rt, name)
	case name == "barcode":
		return rapid.SampledFrom([]string{"", "4006381333931", "96385074", "1234"}).Draw(rt, name)
	case name == "photo":
		return rapid.SampledFrom([]string{"", "https://example.com/a.jpg", "javascript:alert(1)"}).Draw(rt, name)
	}
	most := 40
	if s.MaxLength != nil {
		most = min(most, int(*s.MaxLength))
	}
	if w := rapid.SampledFrom(words).Draw(rt, "word"); rapid.IntRange(0, 5).Draw(rt, "nasty") == 0 && len([]rune(w)) <= most && len([]rune(w)) >= int(s.MinLength) {
		return w
	}
	return rapid.StringOfN(rapid.RuneFrom([]rune("abcdeéäßñ漢字🥛 -")), max(1, int(s.MinLength)), most, -1).Draw(rt, name)
}
