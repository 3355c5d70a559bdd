-- +goose Up
-- +goose StatementBegin
-- Roles belong to the cluster: another database of it may make this one at the
-- same moment.
DO $$ BEGIN
  CREATE ROLE larder_grocery NOLOGIN NOSUPERUSER NOBYPASSRLS;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END $$;
-- +goose StatementEnd

CREATE SCHEMA grocery;
GRANT USAGE ON SCHEMA grocery TO larder_grocery;
GRANT SELECT ON larder_grocery_migrations TO larder_grocery; -- for /readyz: is the schema as new as the program?
ALTER DEFAULT PRIVILEGES IN SCHEMA grocery GRANT SELECT, INSERT, DELETE ON TABLES TO larder_grocery;

-- Who acts, and where: settings of the transaction, put there by package
-- tenant before anything else and gone when it ends.
--   app.principal   user:<sub>, app:<client_id> or api_key:<id>
--   app.family      the family entered; empty until a row proves the right to
--   app.standing    admin, member, guest, app, api_key; founder, joiner on the way in
--   app.user        the <sub> of a person, else empty
--   app.lists       the lists that a guest was granted, or a joiner is invited to
--   app.families    the families of a user who asks for all of his
--   app.invitation  the hash of the invitation a joiner holds, in hex
-- After a commit a setting is '', not NULL: hence nullif, so that no context
-- means no rows.
CREATE FUNCTION grocery.family() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('app.family', true), '')::uuid;
CREATE FUNCTION grocery.families() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
  RETURN string_to_array(nullif(current_setting('app.families', true), ''), ',')::uuid[];
CREATE FUNCTION grocery.standing() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('app.standing', true), '');
CREATE FUNCTION grocery.principal() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('app.principal', true), '');
CREATE FUNCTION grocery.me() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('app.user', true), '');
CREATE FUNCTION grocery.granted() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
  RETURN string_to_array(nullif(current_setting('app.lists', true), ''), ',')::uuid[];
CREATE FUNCTION grocery.invitation() RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
  RETURN decode(nullif(current_setting('app.invitation', true), ''), 'hex');

-- A column named …_by holds a principal; user_id and owner hold the sub of a person.
CREATE TABLE grocery.families (
  id         uuid PRIMARY KEY,
  name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  timezone   text NOT NULL DEFAULT 'UTC' CHECK (char_length(timezone) BETWEEN 1 AND 64),
  version    bigint NOT NULL DEFAULT 1,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
GRANT UPDATE (name, timezone, version, updated_at) ON grocery.families TO larder_grocery;

-- grants: for guests, [{"list_id": …, "verbs": […]}]. Only the SHA-256 of the
-- token is here.
CREATE TABLE grocery.invitations (
  family_id         uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  id                uuid NOT NULL,
  token_hash        bytea NOT NULL,
  role              text NOT NULL CHECK (role IN ('admin', 'member', 'guest')),
  grants            jsonb NOT NULL DEFAULT '[]',
  expires_at        timestamptz NOT NULL,
  uses_left         integer NOT NULL CHECK (uses_left >= 0),
  access_expires_at timestamptz,
  created_by        text NOT NULL,
  created_at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id),
  UNIQUE (family_id, token_hash)
);
GRANT UPDATE (uses_left) ON grocery.invitations TO larder_grocery;

-- user_id is the sub of the identity provider.
CREATE TABLE grocery.family_members (
  family_id     uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  user_id       text NOT NULL CHECK (char_length(user_id) BETWEEN 1 AND 255),
  role          text NOT NULL CHECK (role IN ('admin', 'member', 'guest')),
  display_name  text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 200),
  invitation_id uuid, -- the one he came by; the founder has none
  joined_at     timestamptz NOT NULL DEFAULT now(),
  expires_at    timestamptz,
  version       bigint NOT NULL DEFAULT 1,
  PRIMARY KEY (family_id, user_id)
);
-- The one index that does not begin with family_id: a user asks which families are his.
CREATE INDEX family_members_of_user ON grocery.family_members (user_id, family_id);
GRANT UPDATE (role, display_name, expires_at, version) ON grocery.family_members TO larder_grocery;

-- A personal list goes when its owner leaves the family.
CREATE TABLE grocery.lists (
  family_id   uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  id          uuid NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('shared', 'personal')),
  name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  owner       text,
  created_by  text NOT NULL,
  position    double precision NOT NULL,
  version     bigint NOT NULL DEFAULT 1,
  archived_at timestamptz,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id),
  FOREIGN KEY (family_id, owner) REFERENCES grocery.family_members ON DELETE CASCADE,
  CHECK ((kind = 'personal') = (owner IS NOT NULL))
);
CREATE INDEX lists_order ON grocery.lists (family_id, position, id);
CREATE INDEX lists_owner ON grocery.lists (family_id, owner) WHERE owner IS NOT NULL;
GRANT UPDATE (name, position, version, archived_at, updated_at) ON grocery.lists TO larder_grocery;

-- What a guest may do on one list. Goes with the list and with the guest.
CREATE TABLE grocery.list_permissions (
  family_id  uuid NOT NULL,
  list_id    uuid NOT NULL,
  user_id    text NOT NULL,
  verbs      text[] NOT NULL CHECK (verbs <@ ARRAY['view', 'check', 'add', 'edit', 'manage'] AND cardinality(verbs) BETWEEN 1 AND 5),
  expires_at timestamptz,
  granted_by text NOT NULL,
  granted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, user_id, list_id),
  FOREIGN KEY (family_id, list_id) REFERENCES grocery.lists ON DELETE CASCADE,
  FOREIGN KEY (family_id, user_id) REFERENCES grocery.family_members ON DELETE CASCADE
);
CREATE INDEX list_permissions_list ON grocery.list_permissions (family_id, list_id);
GRANT UPDATE (verbs, expires_at, granted_by, granted_at) ON grocery.list_permissions TO larder_grocery;

-- private_to repeats lists.owner, so that the policy of an item reads no other
-- table. Neither it nor the list of an item can be changed.
CREATE TABLE grocery.items (
  family_id  uuid NOT NULL,
  list_id    uuid NOT NULL,
  id         uuid NOT NULL,
  private_to text,
  name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  quantity   numeric(12, 3) CHECK (quantity > 0),
  unit       text NOT NULL DEFAULT '' CHECK (char_length(unit) <= 32),
  note       text NOT NULL DEFAULT '' CHECK (char_length(note) <= 1000),
  category   text NOT NULL DEFAULT '' CHECK (char_length(category) <= 64),
  checked_at timestamptz,
  checked_by text,
  position   double precision NOT NULL,
  version    bigint NOT NULL DEFAULT 1,
  added_by   text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id),
  FOREIGN KEY (family_id, list_id) REFERENCES grocery.lists ON DELETE CASCADE,
  CHECK ((checked_at IS NULL) = (checked_by IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX items_order ON grocery.items (family_id, list_id, position, id);
GRANT UPDATE (name, quantity, unit, note, category, checked_at, checked_by, position, version, updated_at) ON grocery.items TO larder_grocery;

-- A third-party client and what this family's admin lets it do here.
CREATE TABLE grocery.app_installations (
  family_id    uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  client_id    text NOT NULL CHECK (char_length(client_id) BETWEEN 1 AND 128),
  scopes       text[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 16),
  installed_by text NOT NULL,
  installed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, client_id)
);
GRANT UPDATE (scopes, installed_by, installed_at) ON grocery.app_installations TO larder_grocery;

-- What happened in a family, in the order of seq. Sequence numbers are taken
-- before commits are ordered: a reader goes only as far as the transactions
-- below pg_snapshot_xmin(pg_current_snapshot()). No foreign key: its check would
-- lock the family's row at every change and make the whole family queue there.
CREATE TABLE grocery.change_feed (
  family_id   uuid NOT NULL,
  seq         bigint GENERATED ALWAYS AS IDENTITY,
  tx          xid8 NOT NULL DEFAULT pg_current_xact_id(),
  occurred_at timestamptz NOT NULL DEFAULT now(),
  event       text NOT NULL, -- item.checked, list.deleted …
  list_id     uuid,
  private_to  text,
  entity_id   text NOT NULL,
  version     bigint NOT NULL,
  actor       text NOT NULL,
  PRIMARY KEY (family_id, seq)
);

CREATE TABLE grocery.audit_events (
  family_id   uuid NOT NULL,
  id          uuid NOT NULL,
  occurred_at timestamptz NOT NULL,
  action      text NOT NULL,
  result      text NOT NULL CHECK (result IN ('success', 'failure', 'denied')),
  actor_kind  text NOT NULL, -- user, app, api_key, system
  actor_id    text NOT NULL,
  client_id   text,
  target      text,
  reason      text,
  policies    text[] NOT NULL DEFAULT '{}',
  count       integer NOT NULL DEFAULT 1,
  source_ip   text,
  user_agent  text,
  request_id  text,
  details     jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (family_id, id)
);
CREATE INDEX audit_events_time ON grocery.audit_events (family_id, occurred_at, id);

-- A denial names whatever family was asked for; one that does not exist gets no rows.
-- +goose StatementBegin
CREATE FUNCTION grocery.drop_unless_family() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF EXISTS (SELECT FROM grocery.families f WHERE f.id = NEW.family_id) THEN RETURN NEW; END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_events_of_nobody BEFORE INSERT ON grocery.audit_events
  FOR EACH ROW WHEN (NEW.result = 'denied') EXECUTE FUNCTION grocery.drop_unless_family();

-- The audit log is only ever appended to; the feed goes with its family.
REVOKE DELETE ON grocery.audit_events FROM larder_grocery;

-- +goose StatementBegin
DO $$ DECLARE t text; BEGIN
  FOREACH t IN ARRAY ARRAY['families', 'invitations', 'family_members', 'lists', 'list_permissions', 'items',
                           'app_installations', 'change_feed', 'audit_events'] LOOP
    EXECUTE format('ALTER TABLE grocery.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE grocery.%I FORCE ROW LEVEL SECURITY', t);
  END LOOP;
END $$;
-- +goose StatementEnd

-- Families. USING of an update is wide so that a row can be locked; what may
-- be written is in WITH CHECK.
CREATE POLICY family_read ON grocery.families FOR SELECT
  USING (id = grocery.family() OR id = ANY (grocery.families()));
CREATE POLICY family_found ON grocery.families FOR INSERT
  WITH CHECK (id = grocery.family() AND grocery.standing() = 'founder' AND created_by = grocery.principal());
CREATE POLICY family_change ON grocery.families FOR UPDATE
  USING (id = grocery.family()) WITH CHECK (id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY family_delete ON grocery.families FOR DELETE
  USING (id = grocery.family() AND grocery.standing() = 'admin');

-- Members. Nobody adds another person: one founds a family in the very
-- transaction that makes it, or joins with the role that the invitation in
-- hand has.
CREATE POLICY member_read ON grocery.family_members FOR SELECT
  USING (family_id = grocery.family() OR user_id = grocery.me());
CREATE POLICY member_found ON grocery.family_members FOR INSERT
  WITH CHECK (family_id = grocery.family() AND user_id = grocery.me() AND grocery.standing() = 'founder' AND role = 'admin'
    AND EXISTS (SELECT FROM grocery.families f WHERE f.id = family_id AND f.created_by = grocery.principal() AND f.created_at = transaction_timestamp()));
CREATE POLICY member_join ON grocery.family_members FOR INSERT
  WITH CHECK (family_id = grocery.family() AND user_id = grocery.me() AND grocery.standing() = 'joiner'
    AND EXISTS (SELECT FROM grocery.invitations i WHERE i.family_id = family_members.family_id AND i.id = invitation_id
                   AND i.role = family_members.role AND i.access_expires_at IS NOT DISTINCT FROM family_members.expires_at));
CREATE POLICY member_change ON grocery.family_members FOR UPDATE
  USING (family_id = grocery.family()) WITH CHECK (family_id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY member_remove ON grocery.family_members FOR DELETE
  USING (family_id = grocery.family() AND (grocery.standing() = 'admin' OR user_id = grocery.me()));

-- Invitations: the admins', and whoever holds the token of one.
CREATE POLICY invitation_read ON grocery.invitations FOR SELECT
  USING (family_id = grocery.family() AND (grocery.standing() = 'admin' OR token_hash = grocery.invitation()));
CREATE POLICY invitation_create ON grocery.invitations FOR INSERT
  WITH CHECK (family_id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY invitation_use ON grocery.invitations FOR UPDATE
  USING (family_id = grocery.family() AND token_hash = grocery.invitation());
CREATE POLICY invitation_revoke ON grocery.invitations FOR DELETE
  USING (family_id = grocery.family() AND grocery.standing() = 'admin');

-- No policy on a table that is read often has a subquery: setting one up would
-- cost every request, guests' or not, more than all the rest.
-- Lists: shared ones the whole family's, personal ones their owner's, to a
-- guest those that were granted to him, to a joiner those that he is invited to.
CREATE POLICY list_reach ON grocery.lists
  USING (family_id = grocery.family() AND CASE
    WHEN owner IS NOT NULL THEN owner = grocery.me() AND grocery.standing() IN ('admin', 'member')
    WHEN grocery.standing() IN ('guest', 'joiner') THEN id = ANY (grocery.granted())
    ELSE grocery.standing() IN ('admin', 'member', 'app', 'api_key') END);
CREATE POLICY list_no_guest_makes ON grocery.lists AS RESTRICTIVE FOR INSERT
  WITH CHECK (grocery.standing() NOT IN ('guest', 'joiner'));

CREATE POLICY item_reach ON grocery.items
  USING (family_id = grocery.family() AND CASE
    WHEN private_to IS NOT NULL THEN private_to = grocery.me() AND grocery.standing() IN ('admin', 'member')
    WHEN grocery.standing() IN ('guest', 'joiner') THEN list_id = ANY (grocery.granted())
    ELSE grocery.standing() IN ('admin', 'member', 'app', 'api_key') END);
CREATE POLICY item_as_private_as_its_list ON grocery.items AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM grocery.lists l WHERE l.family_id = items.family_id AND l.id = items.list_id
                         AND l.owner IS NOT DISTINCT FROM items.private_to));

CREATE POLICY permission_read ON grocery.list_permissions FOR SELECT
  USING (user_id = grocery.me() OR family_id = grocery.family() AND grocery.standing() IN ('admin', 'member'));
CREATE POLICY permission_grant ON grocery.list_permissions FOR INSERT
  WITH CHECK (family_id = grocery.family() AND (grocery.standing() IN ('admin', 'member')
    OR grocery.standing() = 'joiner' AND user_id = grocery.me()
       AND EXISTS (SELECT FROM grocery.invitations i WHERE i.family_id = list_permissions.family_id
         AND i.grants @> jsonb_build_array(jsonb_build_object('list_id', list_id, 'verbs', to_jsonb(verbs))))));
CREATE POLICY permission_change ON grocery.list_permissions FOR UPDATE
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'member'));
CREATE POLICY permission_withdraw ON grocery.list_permissions FOR DELETE
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'member'));

CREATE POLICY app_read ON grocery.app_installations FOR SELECT
  USING (family_id = grocery.family() OR 'app:' || client_id = grocery.principal());
CREATE POLICY app_install ON grocery.app_installations FOR INSERT
  WITH CHECK (family_id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY app_change ON grocery.app_installations FOR UPDATE
  USING (family_id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY app_uninstall ON grocery.app_installations FOR DELETE
  USING (family_id = grocery.family() AND grocery.standing() = 'admin');

CREATE POLICY feed_read ON grocery.change_feed FOR SELECT
  USING (family_id = grocery.family() AND CASE
    WHEN private_to IS NOT NULL THEN private_to = grocery.me() AND grocery.standing() IN ('admin', 'member')
    WHEN grocery.standing() IN ('guest', 'joiner') THEN list_id = ANY (grocery.granted())
    ELSE grocery.standing() IN ('admin', 'member', 'app', 'api_key') END);
CREATE POLICY feed_append ON grocery.change_feed FOR INSERT WITH CHECK (family_id = grocery.family());
CREATE POLICY feed_forget ON grocery.change_feed FOR DELETE
  USING (family_id = grocery.family() AND grocery.standing() = 'admin');

CREATE POLICY audit_read ON grocery.audit_events FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'app', 'api_key'));
CREATE POLICY audit_append ON grocery.audit_events FOR INSERT WITH CHECK (family_id = grocery.family());

-- +goose Down
DROP SCHEMA grocery CASCADE;
