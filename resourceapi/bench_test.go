package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"larder/internal/web"
)

// BenchmarkListOf50 and its neighbour measure a page of fifty items, and the
// one SELECT that it cannot do without.
func BenchmarkListOf50(b *testing.B) {
	h := newHousehold(b)
	for i := range 49 {
		h.add(b, h.admin, h.shared, "Item "+strconv.Itoa(i))
	}
	handler := h.gated(h.api)
	b.Run("api", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				r := httptest.NewRequest(http.MethodGet, h.items(h.shared), nil)
				r.Header.Set("Authorization", "Bearer "+h.admin.token)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Error(w.Body.String())
				}
			}
		})
	})
	b.Run("limit", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				rows, err := h.db.Owner.Query(b.Context(), `SELECT id::text, name, quantity::float8, unit, note, category, version FROM grocery.items WHERE family_id = $1 AND list_id = $2 ORDER BY position, id LIMIT 50`, h.id, h.shared)
				if err != nil {
					b.Error(err)
					return
				}
				type row struct {
					ID, Name             string
					Quantity             *float64
					Unit, Note, Category string
					Version              int64
				}
				var all []row
				for rows.Next() {
					var r row
					if err := rows.Scan(&r.ID, &r.Name, &r.Quantity, &r.Unit, &r.Note, &r.Category, &r.Version); err != nil {
						b.Error(err)
					}
					all = append(all, r)
				}
				if err := web.JSON(httptest.NewRecorder(), 200, all); err != nil || len(all) != 50 {
					b.Error(err, len(all))
				}
			}
		})
	})
}

// BenchmarkCheckOff measures checking items off and back, durably with feed
// and audit rows, and one durable INSERT.
func BenchmarkCheckOff(b *testing.B) {
	h := newHousehold(b)
	var items []string
	for i := range 64 {
		items = append(items, h.add(b, h.admin, h.shared, "Item "+strconv.Itoa(i)))
	}
	handler := h.gated(h.api)
	next := make(chan string, len(items))
	for _, i := range items {
		next <- i
	}
	b.Run("api", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			item, checked := <-next, false
			defer func() { next <- item }()
			for pb.Next() {
				method := http.MethodPut
				if checked = !checked; !checked {
					method = http.MethodDelete
				}
				r := httptest.NewRequest(method, h.items(h.shared)+"/"+item+"/check", nil)
				r.Header.Set("Authorization", "Bearer "+h.admin.token)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Error(w.Body.String())
				}
			}
		})
	})
	if _, err := h.db.Owner.Exec(b.Context(), `CREATE TABLE limit_probe (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)`); err != nil {
		b.Fatal(err)
	}
	b.Run("limit", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := h.db.Owner.Exec(b.Context(), `INSERT INTO limit_probe (name) VALUES ($1)`, "x"); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
