package reference

import (
	"slices"
	"strings"
)

// Document is an OpenAPI 3.1 document as JSON or YAML decodes it.
type Document map[string]any

// word is what a member of the name holds in examples, where the document has
// no example of its own.
func word(name string) (any, bool) {
	v, ok := map[string]any{ //nolint:gosec // nothing in here opens anything
		"name": "Milk", "display_name": "Ada", "timezone": "Europe/Berlin", "unit": "l", "category": "Dairy", "quantity": 2, "note": "the one with the red cap",
		"currency": "EUR", "amount": 129, "barcode": "4006381333931", "photo": "https://photos.example.com/milk.jpg", "version": 3,
		"user_id": "019ab0dd-51c0-7d11-9f0e-3c5b8a0e7f22", "sub": "019ab0dd-51c0-7d11-9f0e-3c5b8a0e7f22", "client_id": "shopping-bot",
		"next": "/v1/families/019ab0de-0000-7000-8000-000000000001/lists?cursor=dGhlIG5leHQgcGFnZQ", "token": "lri_c2hvd24gb25jZQ",
		"url": "https://example.com/larder", "secret": "whsec_c2hvd24gb25jZQ==", "event": "item.checked", "action": "list.deleted", "code": "last_admin",
		"created_by": "user:019ab0dd-51c0-7d11-9f0e-3c5b8a0e7f22", "servings": 4, "method": "Stir, wait, bake.", "cursor": "7412-0-1763769600-5f0c2a11",
		"reason": "", "format": "larder.family",
	}[name]
	return v, ok
}

// Complete adds to each JSON body of the document an example made from its
// schema, unless it has one.
func (d Document) Complete() {
	for _, operations := range d.object("paths") {
		for method, operation := range object(operations) {
			if !slices.Contains(methods(), method) {
				continue
			}
			op := object(operation)
			d.exemplify(object(op["requestBody"]))
			for _, response := range object(op["responses"]) {
				d.exemplify(object(response))
			}
		}
	}
	for _, response := range object(d.object("components")["responses"]) {
		d.exemplify(object(response))
	}
}

func (d Document) exemplify(body map[string]any) {
	for media, content := range object(body["content"]) {
		c := object(content)
		_, one := c["example"]
		_, many := c["examples"]
		if strings.HasSuffix(media, "json") && !one && !many {
			c["example"] = d.example("", object(c["schema"]))
		}
	}
}

// example makes a value of a schema for the member name.
func (d Document) example(name string, schema map[string]any) any {
	s := d.resolve(schema)
	for _, given := range []string{"example", "const", "default"} {
		if v, ok := s[given]; ok {
			return v
		}
	}
	for _, given := range []string{"examples", "enum"} {
		if all, ok := s[given].([]any); ok && len(all) > 0 {
			return all[0]
		}
	}
	kinds := types(s)
	if v, ok := word(name); ok && !slices.Contains(kinds, "object") && !slices.Contains(kinds, "array") {
		return v
	}
	if slices.Contains(kinds, "null") {
		return nil
	}
	for _, choice := range []string{"oneOf", "anyOf"} {
		if all, ok := s[choice].([]any); ok && len(kinds) == 0 && len(all) > 0 {
			return d.example(name, object(all[0]))
		}
	}
	switch {
	case slices.Contains(kinds, "object"):
		return d.exampleObject(s)
	case slices.Contains(kinds, "array"):
		return []any{d.example(strings.TrimSuffix(name, "s"), object(s["items"]))}
	case slices.Contains(kinds, "boolean"):
		return false
	case slices.Contains(kinds, "integer"), slices.Contains(kinds, "number"):
		if least, ok := s["minimum"]; ok {
			return least
		}
		return 1
	default:
		return exampleText(s)
	}
}

func (d Document) exampleObject(s map[string]any) any {
	v := make(map[string]any)
	for name, member := range object(s["properties"]) {
		v[name] = d.example(name, object(member))
	}
	if more, ok := s["additionalProperties"].(map[string]any); ok && len(v) == 0 {
		v["lists"] = d.example("", more)
	}
	return v
}

func exampleText(s map[string]any) string {
	switch s["format"] {
	case "uuid":
		return "019ab0de-6ad2-7e63-a6ae-2d4e6fa5e0a1"
	case "date-time":
		return "2026-11-22T09:30:00Z"
	case "date":
		return "2026-11-28"
	default:
		return "text"
	}
}

// resolve follows references.
func (d Document) resolve(schema map[string]any) map[string]any {
	for range 8 {
		ref, ok := schema["$ref"].(string)
		if !ok {
			break
		}
		to := map[string]any(d)
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			to = object(to[part])
		}
		schema = to
	}
	return schema
}

func (d Document) object(name string) map[string]any { return object(d[name]) }

// object is v, or nil if it is none, which reads like an empty one.
func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func types(s map[string]any) []string {
	switch t := s["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var all []string
		for _, one := range t {
			if kind, ok := one.(string); ok {
				all = append(all, kind)
			}
		}
		return all
	default:
		return nil
	}
}
