-- +goose Up
-- Browsers at which a person has completed a sign-in, the newest twenty: they
-- have a count of guesses to themselves, and a sign-in elsewhere is news.
-- network is an IPv4 /24 or an IPv6 /48; the place comes from a database of the
-- operator's, and is NULL without one.
CREATE TABLE auth.recognised_devices (
  user_id     uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
  device_hash bytea NOT NULL, -- SHA-256 of the device cookie
  network     text NOT NULL CHECK (char_length(network) <= 60),
  place       text CHECK (char_length(place) <= 120),
  latitude    real,
  longitude   real,
  first_at    timestamptz NOT NULL,
  last_at     timestamptz NOT NULL,
  PRIMARY KEY (user_id, device_hash)
);
CREATE INDEX recognised_devices_last ON auth.recognised_devices (last_at);

-- When the password was found among stolen ones; it does not open the account
-- any more.
ALTER TABLE auth.passwords ADD COLUMN breached_at timestamptz;

-- +goose Down
ALTER TABLE auth.passwords DROP COLUMN breached_at;
DROP TABLE auth.recognised_devices;
