-- +goose Up
-- Who follows the feed goes by the order of transactions, not by seq: a number
-- is taken before its transaction commits, so that 6 may be there to read while
-- 5 is still on its way. A change whose transaction lies below the xmin of a
-- snapshot has nothing left to come before it.
ALTER TABLE grocery.change_feed DROP CONSTRAINT change_feed_pkey;
ALTER TABLE grocery.change_feed ADD PRIMARY KEY (family_id, tx, seq);

-- Whoever writes takes a few changes away that nobody can ask for any more.
CREATE POLICY feed_forget_old ON grocery.change_feed FOR DELETE
  USING (family_id = grocery.family() AND occurred_at < now() - interval '30 days');

-- +goose Down
DROP POLICY feed_forget_old ON grocery.change_feed;
ALTER TABLE grocery.change_feed DROP CONSTRAINT change_feed_pkey;
ALTER TABLE grocery.change_feed ADD PRIMARY KEY (family_id, seq);
