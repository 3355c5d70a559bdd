-- +goose Up
-- Tries that were counted (GCRA), while Redis is away and, for guesses at
-- secrets, beside it. bucket is the SHA-256 of its name, which has addresses in
-- it; arrivals holds the theoretical arrival time of each rate in microseconds.
CREATE TABLE auth.limits (
  bucket     bytea PRIMARY KEY CHECK (octet_length(bucket) = 32),
  arrivals   bigint[] NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX limits_expiry ON auth.limits (expires_at);

-- What the script of internal/limit does in Redis. It returns how many
-- microseconds to wait, 0 when the try is let in; cost 1 counts, 0 only looks,
-- -1 gives back. Losing the last moments in a crash of the database is cheaper
-- than a disk write for each try.
-- +goose StatementBegin
CREATE FUNCTION auth.limit_try(name bytea, cost integer, every bigint[], burst bigint[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  held    bigint[] := '{}';
  present bigint;
  last    bigint;
  wait    bigint := 0;
  arrival bigint;
  fresh   bigint[] := '{}';
BEGIN
  IF cost = 0 THEN
    SELECT l.arrivals INTO held FROM auth.limits l WHERE l.bucket = name;
  ELSE
    PERFORM set_config('synchronous_commit', 'off', true);
    LOOP
      SELECT l.arrivals INTO held FROM auth.limits l WHERE l.bucket = name FOR UPDATE;
      EXIT WHEN FOUND;
      IF cost < 0 THEN
        RETURN 0;
      END IF;
      INSERT INTO auth.limits (bucket, arrivals, expires_at) VALUES (name, '{}', clock_timestamp()) ON CONFLICT DO NOTHING;
    END LOOP;
  END IF;
  present := extract(epoch FROM clock_timestamp()) * 1000000;
  last := present;
  FOR i IN 1 .. cardinality(every) LOOP
    arrival := greatest(coalesce(held[i], 0), present);
    IF cost >= 0 THEN
      wait := greatest(wait, arrival + every[i] - every[i] * burst[i] - present);
    END IF;
    arrival := greatest(arrival + every[i] * cost, present);
    last := greatest(last, arrival);
    fresh := fresh || arrival;
  END LOOP;
  IF wait > 0 OR cost = 0 THEN
    RETURN wait;
  END IF;
  UPDATE auth.limits l SET arrivals = fresh, expires_at = to_timestamp(last / 1000000.0) WHERE l.bucket = name;
  RETURN 0;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION auth.limit_try;
DROP TABLE auth.limits;
