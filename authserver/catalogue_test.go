package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"larder/internal/pgtest"
)

// What runs out is swept, and what refers to another row is found when that one
// goes.
func TestSchemaHasSweepsAndIndexes(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	column := func(sql string) []string {
		t.Helper()
		rows, err := db.Owner.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	swept := []string{"revocations"} // by revocation.Follow
	for _, one := range sweeps() {
		swept = append(swept, one.table)
	}
	expiring := column(`SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'auth' AND column_name = 'expires_at'`)
	if len(expiring) < 10 {
		t.Errorf("only %v expire", expiring)
	}
	for _, table := range expiring {
		if !slices.Contains(swept, table) && !strings.HasPrefix(table, "river_") {
			t.Errorf("rows of auth.%s expire, and nothing sweeps them", table)
		}
	}
	for _, key := range column(`SELECT conrelid::regclass || ' (' || conname || ')' FROM pg_constraint k
		WHERE contype = 'f' AND connamespace = 'auth'::regnamespace AND NOT EXISTS (
		  SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1] AND cardinality(k.conkey) = 1)`) {
		t.Errorf("no index finds the rows that %s holds", key)
	}
}
