-- +goose Up
-- An app asks which families installed it.
CREATE INDEX app_installations_client ON grocery.app_installations (client_id, installed_at, family_id);

-- +goose Down
DROP INDEX grocery.app_installations_client;
