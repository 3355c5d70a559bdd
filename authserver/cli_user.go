package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"larder/authserver/account"
	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/secret"
)

const maxPasswordLine = 4096 // bytes read from standard input

func userCommands() []command {
	const needs = needDatabase | needRedis
	return []command{
		{
			name: "user create", short: "Make an account.", needs: needs,
			long: `
The password is generated and shown once, or read from standard input; it is never an argument, which others could see.

  authserver user create --name "Olive Ops" --email olive@example.com --operator
  authserver user create --name "Ada Baker" --email ada@example.com --password-stdin < password.txt`,
			flags: func(flags *flag.FlagSet) action {
				name := flags.String("name", "", "what people are shown")
				email := flags.String("email", "", "address to sign in with")
				operator := flags.Bool("operator", false, "may use the admin API")
				verified := flags.Bool("email-verified", false, "the address is known to be theirs")
				stdin := flags.Bool("password-stdin", false, "read the password from standard input")
				return func(ctx context.Context, t *terminal, args []string) error {
					password, generated, err := t.password(*stdin)
					if err != nil {
						return err
					}
					user, err := t.core.accounts.Create(ctx, t.operator(), account.NewUser{
						Name: *name, Email: *email, EmailVerified: *verified, Password: password, Operator: *operator,
					})
					if err != nil {
						return err
					}
					return t.printNewPassword(user, password, generated)
				}
			},
		},
		{
			name: "user list", short: "List the accounts.", needs: needs,
			flags: func(*flag.FlagSet) action { return listUsers },
		},
		{
			name: "user disable", args: "EMAIL|ID", short: "Shut somebody out: sessions, grants and tokens end.", needs: needs,
			flags: func(flags *flag.FlagSet) action {
				undo := flags.Bool("undo", false, "let them sign in again")
				return func(ctx context.Context, t *terminal, args []string) error {
					return t.changeUser(ctx, args, func(user *oidc.User) error {
						if *undo {
							return t.core.accounts.Enable(ctx, t.operator(), user.ID)
						}
						return t.core.accounts.Disable(ctx, t.operator(), user.ID)
					})
				}
			},
		},
		{
			name: "user set-password", args: "EMAIL|ID", short: "Give somebody a new password and sign them out everywhere.", needs: needs,
			long: "The password is generated and shown once, or read from standard input.",
			flags: func(flags *flag.FlagSet) action {
				stdin := flags.Bool("password-stdin", false, "read the password from standard input")
				return func(ctx context.Context, t *terminal, args []string) error {
					password, generated, err := t.password(*stdin)
					if err != nil {
						return err
					}
					var changed id.ID
					err = t.withUser(ctx, args, func(user *oidc.User) error {
						changed = user.ID
						return t.core.accounts.SetPassword(ctx, t.operator(), user.ID, password)
					})
					if err != nil {
						return err
					}
					return t.printNewPassword(changed, password, generated)
				}
			},
		},
		{
			name: "user set-profile", args: "EMAIL|ID", short: "Change the standard claims of somebody's profile.", needs: needs,
			long: `
Each --claim is NAME=VALUE, by the names of OpenID Connect Core 5.1; a part of the address is address.locality=Wien, and so on. An
empty value takes the claim away.

  authserver user set-profile ada@example.com --claim given_name=Ada --claim phone_number=+431234567 --claim phone_number_verified=true`,
			flags: func(flags *flag.FlagSet) action {
				var claims list
				flags.Var(&claims, "claim", "`NAME=VALUE`; may be repeated")
				name := flags.String("name", "", "what people are shown")
				return func(ctx context.Context, t *terminal, args []string) error {
					profile, err := profileOf(claims)
					if err != nil {
						return err
					}
					return t.changeUser(ctx, args, func(user *oidc.User) error {
						return t.core.accounts.SetClaims(ctx, t.operator(), user.ID, *name, profile)
					})
				}
			},
		},
		{
			name: "user reset-mfa", args: "EMAIL|ID", short: "Take away somebody's second factor, when phone and recovery codes are lost.", needs: needs,
			long: `
Make sure first that it is really they who ask: from then on the password alone signs in. Trusted devices are forgotten, sessions end,
and so do the grants that were made with two factors.`,
			flags: func(*flag.FlagSet) action {
				return func(ctx context.Context, t *terminal, args []string) error {
					return t.changeUser(ctx, args, func(user *oidc.User) error {
						return t.core.factors.Remove(ctx, t.operator(), user.ID)
					})
				}
			},
		},
	}
}

// profileOf reads claims that were written as NAME=VALUE.
func profileOf(claims []string) (map[string]any, error) {
	profile, address := map[string]any{}, map[string]any{}
	for _, claim := range claims {
		name, value, ok := strings.Cut(claim, "=")
		if !ok {
			return nil, fmt.Errorf("--claim %s: write NAME=VALUE", claim)
		}
		part, isPart := strings.CutPrefix(name, "address.")
		switch {
		case isPart:
			address[part] = value
		case name == "phone_number_verified":
			profile[name] = value == "true"
		default:
			profile[name] = value
		}
	}
	if len(address) > 0 {
		profile["address"] = address
	}
	return profile, nil
}

// password reads a password, or makes one of 130 bits.
func (t *terminal) password(stdin bool) (value secret.String, generated bool, err error) {
	if !stdin {
		return secret.String(strings.ToLower(rand.Text())), true, nil
	}
	line, err := bufio.NewReader(io.LimitReader(t.in, maxPasswordLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", false, errors.New("standard input holds no password")
	}
	return secret.String(line), false, nil
}

func (t *terminal) printNewPassword(user id.ID, password secret.String, generated bool) error {
	v := map[string]string{"id": user.String()}
	if generated {
		v["password"] = password.Reveal()
	}
	return t.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "id\t%s\n", user)
		if generated {
			fmt.Fprintf(w, "password\t%s\t(shown this once)\n", password.Reveal())
		}
	})
}

// withUser finds the user whom an argument names by address or id.
func (t *terminal) withUser(ctx context.Context, args []string, f func(*oidc.User) error) error {
	who, err := only(args, "e-mail address or user id")
	if err != nil {
		return err
	}
	var user *oidc.User
	if subject, parseErr := id.Parse(who); parseErr == nil {
		user, err = t.core.accounts.User(ctx, subject)
	} else {
		user, err = t.core.accounts.ByEmail(ctx, who)
	}
	if fault.Is(err, fault.NotFound) {
		return fmt.Errorf("there is no account of %s", who)
	}
	if err != nil {
		return err
	}
	return f(user)
}

// changeUser does the same, and shows the account as it is then.
func (t *terminal) changeUser(ctx context.Context, args []string, f func(*oidc.User) error) error {
	return t.withUser(ctx, args, func(user *oidc.User) error {
		if err := f(user); err != nil {
			return err
		}
		changed, err := t.core.accounts.User(ctx, user.ID)
		if err != nil {
			return err
		}
		return t.printUsers(viewOf(changed), []userView{viewOf(changed)})
	})
}

// userView is an account as operators see it.
type userView struct {
	ID            id.ID  `json:"id"`
	Name          string `json:"name"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	Operator      bool   `json:"operator"`
	Disabled      bool   `json:"disabled"`

	Profile map[string]any `json:"profile"` // standard claims of OpenID Connect Core §5.1
}

func viewOf(u *oidc.User) userView {
	return userView{u.ID, u.Name, u.Email, u.EmailVerified, u.Operator, u.Disabled, u.Profile}
}

func listUsers(ctx context.Context, t *terminal, args []string) error {
	views := []userView{}
	for after := (id.ID{}); ; {
		const page = 200
		some, err := t.core.accounts.List(ctx, after, page)
		if err != nil {
			return err
		}
		for _, u := range some {
			after = u.ID
			views = append(views, viewOf(&u))
		}
		if len(some) < page {
			break
		}
	}
	return t.printUsers(views, views)
}

// printUsers shows v to programs and views to people.
func (t *terminal) printUsers(v any, views []userView) error {
	return t.print(v, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tNAME\tEMAIL\tOPERATOR\tDISABLED")
		for _, v := range views {
			fmt.Fprintf(w, "%s\t%s\t%s\t%t\t%t\n", v.ID, v.Name, v.Email, v.Operator, v.Disabled)
		}
	})
}
