-- +goose Up
-- Whom an invitation was mailed to, sealed; NULL for one that is handed on.
ALTER TABLE grocery.invitations ADD COLUMN email bytea;

-- Invitations that are to be mailed. The letter is sealed: it holds the token.
-- A row leaves with its mail, or with its invitation.
CREATE TABLE grocery.invitation_mails (
  family_id     uuid NOT NULL,
  id            bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  invitation_id uuid NOT NULL,
  letter        bytea NOT NULL,
  attempts      integer NOT NULL DEFAULT 0,
  next_at       timestamptz NOT NULL DEFAULT now(),
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id),
  FOREIGN KEY (family_id, invitation_id) REFERENCES grocery.invitations ON DELETE CASCADE
);
GRANT UPDATE (attempts, next_at) ON grocery.invitation_mails TO larder_grocery;
ALTER TABLE grocery.invitation_mails ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.invitation_mails FORCE ROW LEVEL SECURITY;

CREATE POLICY invitation_mail_write ON grocery.invitation_mails FOR INSERT
  WITH CHECK (family_id = grocery.family() AND EXISTS (
    SELECT FROM grocery.invitations i WHERE i.family_id = invitation_mails.family_id AND i.id = invitation_id AND i.created_by = grocery.principal()));
-- The standing "courier" is that of the service itself as it delivers.
CREATE POLICY invitation_mail_courier ON grocery.invitation_mails
  USING (grocery.standing() = 'courier' AND (grocery.family() IS NULL OR family_id = grocery.family()));

-- +goose Down
DROP TABLE grocery.invitation_mails;
ALTER TABLE grocery.invitations DROP COLUMN email;
