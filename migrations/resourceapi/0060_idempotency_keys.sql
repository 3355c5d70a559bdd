-- +goose Up
-- What was answered to requests with an Idempotency-Key, for those who did not
-- hear the answer. As in change_feed, no foreign key. Founding a family and
-- joining one begin outside of any: their rows have the family of zeros.
CREATE TABLE grocery.idempotency_keys (
  family_id   uuid NOT NULL,
  principal   text NOT NULL,
  key         text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
  fingerprint bytea NOT NULL, -- of what was asked, and with which rights
  standing    text NOT NULL,
  answer      bytea NOT NULL, -- sealed: it may hold the token of an invitation
  done_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, principal, key)
);
ALTER TABLE grocery.idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.idempotency_keys FORCE ROW LEVEL SECURITY;

-- One's own, in the family that was entered. Those that are over are anybody's
-- to sweep.
CREATE POLICY key_read ON grocery.idempotency_keys FOR SELECT
  USING (principal = grocery.principal() AND (family_id = grocery.family() OR family_id = '00000000-0000-0000-0000-000000000000')
    OR done_at < now() - interval '24 hours');
CREATE POLICY key_keep ON grocery.idempotency_keys FOR INSERT
  WITH CHECK (principal = grocery.principal() AND (family_id = grocery.family() OR family_id = '00000000-0000-0000-0000-000000000000'));
CREATE POLICY key_forget ON grocery.idempotency_keys FOR DELETE
  USING (done_at < now() - interval '24 hours' OR family_id = grocery.family() AND grocery.standing() = 'admin');

-- Takes the key for this transaction and returns what was answered before. It
-- fails at once, and with it the batch, while another transaction has the key.
-- +goose StatementBegin
CREATE FUNCTION grocery.claim(the_family uuid, the_key text) RETURNS TABLE (fingerprint bytea, standing text, answer bytea) LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended(concat_ws(' ', the_family, grocery.principal(), the_key), 60)) THEN
    RAISE EXCEPTION 'the key is in use' USING ERRCODE = 'LR409';
  END IF;
  DELETE FROM grocery.idempotency_keys k
   WHERE k.family_id = the_family AND k.principal = grocery.principal() AND k.key = the_key AND k.done_at < now() - interval '24 hours';
  RETURN QUERY SELECT k.fingerprint, k.standing, k.answer FROM grocery.idempotency_keys k
   WHERE k.family_id = the_family AND k.principal = grocery.principal() AND k.key = the_key;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION grocery.claim;
DROP TABLE grocery.idempotency_keys;
