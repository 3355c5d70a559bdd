-- +goose Up
-- Whom a family tells of its changes. Secrets are sealed. after_tx and
-- after_seq: up to which change its deliveries have been written down.
CREATE TABLE grocery.webhooks (
  family_id       uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  id              uuid NOT NULL,
  url             text NOT NULL CHECK (char_length(url) BETWEEN 1 AND 2000),
  events          text[] NOT NULL CHECK (cardinality(events) <= 50), -- none: all
  secret          bytea NOT NULL,
  old_secret      bytea,
  old_until       timestamptz,
  disabled_reason text,
  after_tx        xid8 NOT NULL DEFAULT pg_snapshot_xmin(pg_current_snapshot()),
  after_seq       bigint NOT NULL DEFAULT 0,
  version         bigint NOT NULL DEFAULT 1,
  created_by      text NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id)
);
GRANT UPDATE (url, events, secret, old_secret, old_until, disabled_reason, after_tx, after_seq, version, updated_at) ON grocery.webhooks TO larder_grocery;

-- What is to be sent, was sent, or could not be.
CREATE TABLE grocery.webhook_deliveries (
  family_id   uuid NOT NULL,
  id          uuid NOT NULL,
  webhook_id  uuid NOT NULL,
  event       text NOT NULL,
  payload     text NOT NULL,
  status      text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
  attempts    integer NOT NULL DEFAULT 0,
  next_at     timestamptz NOT NULL DEFAULT now(),
  last_status integer,
  last_error  text,
  created_at  timestamptz NOT NULL DEFAULT now(),
  done_at     timestamptz,
  PRIMARY KEY (family_id, id),
  FOREIGN KEY (family_id, webhook_id) REFERENCES grocery.webhooks ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_log ON grocery.webhook_deliveries (family_id, webhook_id, created_at, id);
CREATE INDEX webhook_deliveries_due ON grocery.webhook_deliveries (family_id, next_at) WHERE status = 'pending';
GRANT UPDATE (status, attempts, next_at, last_status, last_error, done_at) ON grocery.webhook_deliveries TO larder_grocery;

-- The families that have webhooks, and when to look at each. It is all that a
-- courier sees across families.
CREATE TABLE grocery.webhook_rounds (
  family_id  uuid PRIMARY KEY REFERENCES grocery.families ON DELETE CASCADE,
  due_at     timestamptz NOT NULL DEFAULT now(),
  busy_until timestamptz
);
GRANT UPDATE (due_at, busy_until) ON grocery.webhook_rounds TO larder_grocery;

-- +goose StatementBegin
DO $$ DECLARE t text; BEGIN
  FOREACH t IN ARRAY ARRAY['webhooks', 'webhook_deliveries', 'webhook_rounds'] LOOP
    EXECUTE format('ALTER TABLE grocery.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE grocery.%I FORCE ROW LEVEL SECURITY', t);
  END LOOP;
END $$;
-- +goose StatementEnd

-- The standing "courier" is that of the service itself as it delivers.
CREATE POLICY webhook_admin ON grocery.webhooks
  USING (family_id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY webhook_courier_read ON grocery.webhooks FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() = 'courier');
CREATE POLICY webhook_courier_change ON grocery.webhooks FOR UPDATE
  USING (family_id = grocery.family() AND grocery.standing() = 'courier');
CREATE POLICY delivery_admin_read ON grocery.webhook_deliveries FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY delivery_admin_replay ON grocery.webhook_deliveries FOR UPDATE
  USING (family_id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY delivery_courier ON grocery.webhook_deliveries
  USING (family_id = grocery.family() AND grocery.standing() = 'courier');
CREATE POLICY round_admin ON grocery.webhook_rounds
  USING (family_id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY round_courier_read ON grocery.webhook_rounds FOR SELECT
  USING (grocery.standing() = 'courier' AND (grocery.family() IS NULL OR family_id = grocery.family()));
CREATE POLICY round_courier_change ON grocery.webhook_rounds FOR UPDATE
  USING (family_id = grocery.family() AND grocery.standing() = 'courier');
CREATE POLICY feed_courier ON grocery.change_feed FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() = 'courier' AND private_to IS NULL);

-- +goose Down
DROP POLICY feed_courier ON grocery.change_feed;
DROP TABLE grocery.webhook_rounds;
DROP TABLE grocery.webhook_deliveries;
DROP TABLE grocery.webhooks;
