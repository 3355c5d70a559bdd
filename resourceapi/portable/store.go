package portable

// A member of the document is made by the database, a row at a time. Numerics
// are read as floats: 2 and not 2.000.
const (
	exportFamily = `
SELECT json_build_object('id', id, 'name', name, 'timezone', timezone, 'currency', currency, 'history_days', history_days, 'default_list_id', CASE WHEN grocery.standing() <> 'guest' THEN default_list_id END, 'created_at', created_at) FROM grocery.families WHERE id = $1`

	exportMembers = `
SELECT json_build_object('user_id', user_id, 'role', role, 'display_name', display_name, 'joined_at', joined_at, 'expires_at', expires_at)
  FROM grocery.family_members WHERE family_id = $1 ORDER BY joined_at, user_id LIMIT 1000`

	exportStores = `
SELECT json_build_object('id', id, 'name', name, 'aisles', aisles, 'only_aisles', only_aisles, 'created_by', created_by, 'created_at', created_at)
  FROM grocery.stores WHERE family_id = $1 ORDER BY id LIMIT 1000`

	exportPrices = `
SELECT json_build_object('id', id, 'store_id', store_id, 'name', name, 'amount', amount, 'currency', currency, 'quantity', quantity::float8,
                         'unit', unit, 'created_by', noted_by, 'created_at', noted_at)
  FROM grocery.prices WHERE family_id = $1 ORDER BY noted_at DESC, id LIMIT 20000`

	exportFavourites = `
SELECT json_build_object('id', id, 'name', name, 'quantity', quantity::float8, 'unit', unit, 'category', category, 'created_by', created_by,
                         'created_at', created_at)
  FROM grocery.favourites WHERE family_id = $1 ORDER BY id LIMIT 1000`

	exportRecipes = `
SELECT json_build_object('id', id, 'name', name, 'servings', servings, 'method', method, 'ingredients', ingredients, 'created_by', created_by,
                         'created_at', created_at)
  FROM grocery.recipes WHERE family_id = $1 ORDER BY id LIMIT 1000`

	exportLists = `
SELECT json_build_object('id', id, 'kind', kind, 'name', name, 'due_on', due_on, 'assignee', assignee, 'template', template,
                         'archived', archived_at IS NOT NULL, 'created_by', created_by, 'created_at', created_at)
  FROM grocery.lists WHERE family_id = $1 ORDER BY position, id LIMIT 1000`

	exportPantry = `
SELECT json_build_object('id', id, 'name', name, 'quantity', quantity::float8, 'unit', unit, 'category', category, 'minimum', minimum::float8,
                         'list_id', list_id, 'created_by', created_by, 'created_at', created_at)
  FROM grocery.pantry WHERE family_id = $1 ORDER BY id LIMIT 1000`

	exportRecurring = `
SELECT json_build_object('id', id, 'list_id', list_id, 'name', name, 'quantity', quantity::float8, 'unit', unit, 'note', note, 'category', category,
                         'every', every, 'period', period, 'next_on', next_on, 'created_by', created_by, 'created_at', created_at)
  FROM grocery.recurring WHERE family_id = $1 ORDER BY id LIMIT 1000`

	exportItems = `
SELECT list_id, position, id,
       json_build_object('id', id, 'list_id', list_id, 'name', name, 'quantity', quantity::float8, 'unit', unit, 'note', note, 'category', category,
                         'barcode', barcode, 'photo', photo, 'checked', checked_at IS NOT NULL, 'created_by', added_by, 'created_at', created_at)
  FROM grocery.items WHERE family_id = $1 AND (list_id, position, id) > ($2, $3, $4) ORDER BY list_id, position, id LIMIT $5`

	// selectKnown tells which ids are there already. Those of things that the
	// caller may not see are found when the rows go in, and left out then too.
	selectKnown = `
SELECT id FROM grocery.stores WHERE family_id = $1 AND id = ANY ($2)
UNION ALL SELECT id FROM grocery.prices WHERE family_id = $1 AND id = ANY ($2)
UNION ALL SELECT id FROM grocery.favourites WHERE family_id = $1 AND id = ANY ($2)
UNION ALL SELECT id FROM grocery.recipes WHERE family_id = $1 AND id = ANY ($2)
UNION ALL SELECT id FROM grocery.pantry WHERE family_id = $1 AND id = ANY ($2)
UNION ALL SELECT id FROM grocery.recurring WHERE family_id = $1 AND id = ANY ($2)
UNION ALL SELECT id FROM grocery.items WHERE family_id = $1 AND id = ANY ($2)`

	selectCounts = `
SELECT (SELECT count(*) FROM grocery.stores WHERE family_id = $1), (SELECT count(*) FROM grocery.prices WHERE family_id = $1),
       (SELECT count(*) FROM grocery.favourites WHERE family_id = $1), (SELECT count(*) FROM grocery.recipes WHERE family_id = $1),
       (SELECT count(*) FROM grocery.pantry WHERE family_id = $1), (SELECT count(*) FROM grocery.recurring WHERE family_id = $1),
       (SELECT count(*) FROM grocery.lists WHERE family_id = $1),
       (SELECT coalesce(max(position), 0) FROM grocery.lists WHERE family_id = $1)`

	selectEnds = `SELECT list_id, count(*), max(position) FROM grocery.items WHERE family_id = $1 AND list_id = ANY ($2) GROUP BY list_id`

	importStores = `
INSERT INTO grocery.stores (family_id, id, name, aisles, aisle_keys, only_aisles, created_by)
SELECT $1, id, name, aisles, coalesce(aisle_keys, '{}'), only_aisles, $3
  FROM jsonb_to_recordset($2) AS x (id uuid, name text, aisles text[], aisle_keys text[], only_aisles boolean) ON CONFLICT DO NOTHING`

	importPrices = `
INSERT INTO grocery.prices (family_id, id, store_id, name, name_key, amount, currency, quantity, unit, noted_by, noted_at)
SELECT $1, x.id, s.id, x.name, x.name_key, x.amount, x.currency, x.quantity, x.unit, $3, least(coalesce(x.created_at, now()), now())
  FROM jsonb_to_recordset($2) AS x (id uuid, store_id uuid, name text, name_key text, amount bigint, currency text, quantity numeric, unit text,
                                    created_at timestamptz)
  JOIN grocery.stores s ON s.family_id = $1 AND s.id = x.store_id ON CONFLICT DO NOTHING`

	importFavourites = `
INSERT INTO grocery.favourites (family_id, id, name, name_key, quantity, unit, category, created_by)
SELECT $1, id, name, name_key, quantity, unit, category, $3
  FROM jsonb_to_recordset($2) AS x (id uuid, name text, name_key text, quantity numeric, unit text, category text) ON CONFLICT DO NOTHING`

	importRecipes = `
INSERT INTO grocery.recipes (family_id, id, name, servings, method, ingredients, created_by)
SELECT $1, id, name, servings, method, ingredients, $3
  FROM jsonb_to_recordset($2) AS x (id uuid, name text, servings integer, method text, ingredients jsonb) ON CONFLICT DO NOTHING`

	importLists = `
INSERT INTO grocery.lists (family_id, id, kind, name, owner, created_by, position, due_on, template, archived_at, assignee)
SELECT $1, x.id, x.kind, x.name, CASE WHEN x.kind = 'personal' THEN $4 END, $3, x.position, x.due_on, x.template, CASE WHEN x.archived THEN now() END, m.user_id
  FROM jsonb_to_recordset($2) AS x (id uuid, kind text, name text, position float8, due_on date, template boolean, archived boolean, assignee text)
  LEFT JOIN grocery.family_members m ON m.family_id = $1 AND m.user_id = x.assignee AND x.kind = 'shared'
 ORDER BY x.position ON CONFLICT DO NOTHING`

	importPantry = `
INSERT INTO grocery.pantry (family_id, id, name, quantity, unit, category, minimum, list_id, created_by)
SELECT $1, x.id, x.name, x.quantity, x.unit, x.category, x.minimum, l.id, $3
  FROM jsonb_to_recordset($2) AS x (id uuid, name text, quantity numeric, unit text, category text, minimum numeric, list_id uuid)
  LEFT JOIN grocery.lists l ON l.family_id = $1 AND l.id = x.list_id AND l.kind = 'shared' ON CONFLICT DO NOTHING`

	// A day that is over becomes today, which begins at four in the morning where
	// the family lives; one that is years ahead comes in two years.
	importRecurring = `
INSERT INTO grocery.recurring (family_id, id, list_id, name, quantity, unit, note, category, every, period, next_on, next_at, created_by)
SELECT $1, x.id, l.id, x.name, x.quantity, x.unit, x.note, x.category, x.every, x.period, next.day, (next.day + time '04:00') AT TIME ZONE f.timezone, $3
  FROM jsonb_to_recordset($2) AS x (id uuid, list_id uuid, name text, quantity numeric, unit text, note text, category text, every integer, period text,
                                    next_on date)
  JOIN grocery.families f ON f.id = $1
  JOIN grocery.lists l ON l.family_id = $1 AND l.id = x.list_id AND l.kind = 'shared'
 CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE f.timezone - interval '4 hours')::date AS day) today
 CROSS JOIN LATERAL (SELECT least(greatest(x.next_on, today.day), today.day + 731) AS day) next ON CONFLICT DO NOTHING`

	// importItems is in the order of owners and names, as whatever puts several
	// things on lists, so that those who put the same take turns.
	importItems = `
INSERT INTO grocery.items (family_id, list_id, id, private_to, name, quantity, unit, note, category, barcode, photo, position, added_by, checked_at, checked_by)
SELECT $1, l.id, x.id, l.owner, x.name, x.quantity, x.unit, x.note, x.category, x.barcode, x.photo, x.position, $3,
       CASE WHEN x.checked THEN now() END, CASE WHEN x.checked THEN $3 END
  FROM jsonb_to_recordset($2) AS x (id uuid, list_id uuid, name text, quantity numeric, unit text, note text, category text, barcode text, photo text,
                                    position float8, checked boolean)
  JOIN grocery.lists l ON l.family_id = $1 AND l.id = x.list_id
 ORDER BY l.owner NULLS FIRST, lower(regexp_replace(normalize(x.name), '\s+', ' ', 'g')) COLLATE "C" ON CONFLICT DO NOTHING`
)
