package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"larder/internal/devstack/engine"
	"larder/internal/devstack/servers"
)

// ownDatabase is the database that we make in a server of ours.
const ownDatabase = "larder"

// databases are the addresses of one database for its owner and for the runtime role of each service.
type databases struct {
	owner, auth, grocery string
}

// prepareDatabase makes the database in a server of ours, or takes the one that DATABASE_URL names, and in it a role
// for each service of this copy: another copy on the same server has roles of its own.
func prepareDatabase(ctx context.Context, up *engine.Engines, kept *secrets, dir string) (databases, error) {
	found := databases{owner: up.DatabaseURL}
	conn, err := pgx.Connect(ctx, up.DatabaseURL)
	if err != nil {
		return found, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	name := conn.Config().Database
	if up.OwnCluster {
		name = ownDatabase
		if err := createDatabase(ctx, conn, name); err != nil {
			return found, err
		}
		if found.owner, err = servers.WithDatabase(up.DatabaseURL, name); err != nil {
			return found, err
		}
	}
	sum := sha256.Sum256([]byte(dir))
	for _, login := range []struct {
		group, password string
		address         *string
	}{
		{servers.AuthGroup, kept.AuthRolePassword, &found.auth},
		{servers.GroceryGroup, kept.GroceryRolePassword, &found.grocery},
	} {
		// 63 bytes is all that PostgreSQL keeps of a name.
		role := fmt.Sprintf("%s_%.32s_%s", login.group, name, hex.EncodeToString(sum[:4]))
		if err := servers.Login(ctx, conn, login.group, role, login.password); err != nil {
			return found, err
		}
		if *login.address, err = servers.WithLogin(found.owner, role, login.password); err != nil {
			return found, err
		}
	}
	return found, nil
}

func createDatabase(ctx context.Context, conn *pgx.Conn, name string) error {
	var there int
	err := conn.QueryRow(ctx, `SELECT 1 FROM pg_database WHERE datname = $1`, name).Scan(&there)
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return err
}
