-- +goose Up
-- +goose StatementBegin
DO $$ BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('larder group roles'));
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'larder_grocery') THEN
    CREATE ROLE larder_grocery NOLOGIN NOSUPERUSER NOBYPASSRLS;
  END IF;
END $$;
-- +goose StatementEnd

CREATE SCHEMA grocery;
GRANT USAGE ON SCHEMA grocery TO larder_grocery;
ALTER DEFAULT PRIVILEGES IN SCHEMA grocery GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO larder_grocery;

-- +goose Down
DROP SCHEMA grocery CASCADE;
