package tenant

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"larder/internal/fault"
	"larder/internal/valid"
	"larder/internal/web"
)

// Members are those of a body, not read yet.
type Members map[string]json.RawMessage

// ReadMembers reads members into a change, one after the other, so that only the
// first with a fault is told of.
func ReadMembers[C any](m Members) (c C, err error) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		part, err := json.Marshal(Members{name: m[name]})
		if err == nil {
			err = web.ReadJSON(part, &c)
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// Edit changes one member from what the client knew to what it wants.
type Edit struct {
	Base  json.RawMessage `json:"base"`
	Value json.RawMessage `json:"value"`
}

// Edits are what an operation does to the members of a thing.
type Edits map[string]Edit

// Check reports each edit that wants nothing.
func (e Edits) Check(f *valid.Form) {
	for _, name := range slices.Sorted(maps.Keys(e)) {
		if e[name].Value == nil {
			f.Fault("/fields/"+name+"/value", "is required")
		}
	}
}

// Values are what the client wants.
func (e Edits) Values() Members {
	wanted := Members{}
	for name, edit := range e {
		wanted[name] = edit.Value
	}
	return wanted
}

// Merge changes t as the edits say, save where it is neither what the client
// knew nor what it wants: those members it names. With is what t would be with
// a member of this value, so that values are compared as they would be kept, not
// as they are written. Who names no base knew what none, a thing of which nothing
// is said, has there.
func Merge[T any](t T, none any, edits Edits, with func(t T, name string, value json.RawMessage) (T, error)) (after T, conflicts []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(edits)) {
		wanted, err := with(t, name, edits[name].Value)
		if err != nil {
			return t, nil, InFields(err)
		}
		base := edits[name].Base
		if base == nil {
			base = member(none, name)
		}
		known, err := with(t, name, base)
		switch {
		case reflect.DeepEqual(wanted, t):
		case err == nil && reflect.DeepEqual(known, t):
			t = wanted
		default:
			conflicts = append(conflicts, name)
		}
	}
	return t, conflicts, nil
}

// member is one of a thing, as JSON; null for one that it has not.
func member(thing any, name string) json.RawMessage {
	all := Members{}
	if b, err := json.Marshal(thing); err == nil {
		_ = json.Unmarshal(b, &all) // it is an object
	}
	if value, there := all[name]; there {
		return value
	}
	return json.RawMessage("null")
}

// InFields has faults of a thing point into the operation: /aisles/3 becomes
// /fields/aisles/value/3.
func InFields(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	fields := make([]fault.Field, 0, len(e.Fields))
	for _, f := range e.Fields {
		name, rest, deeper := strings.Cut(strings.TrimPrefix(f.Pointer, "/"), "/")
		f.Pointer = "/fields/" + name + "/value"
		if deeper {
			f.Pointer += "/" + rest
		}
		fields = append(fields, f)
	}
	return e.WithFields(fields...)
}
