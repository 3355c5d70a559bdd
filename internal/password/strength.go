package password

import (
	"context"
	"fmt"
	"log/slog"
	"sort"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// enough is "safely unguessable: moderate protection from an offline attack".
	enough = 3
	// measured bounds the work: the time to estimate grows with the square of the
	// length, and what is longer than this is strong by what stands in it so far.
	measured = 64
)

// Strength estimates how hard a password is to guess, from 0, the first that
// anybody tries, to 4. about is what the person is called. The scale is that of
// zxcvbn: 3 is more than 10^8 guesses.
func Strength(password string, about ...string) int {
	head := []rune(fold(password))
	if len(head) > measured {
		head = head[:measured]
	}
	guesses := newGuesser(about).cheapest(head)
	return sort.SearchFloat64s([]float64{3, 6, 8, 10}, guesses)
}

// Rating is what a password is worth while it is being typed.
type Rating struct {
	Strength int    // 0 to 4 as Strength has it, 0 too where a rule refuses the password
	Enough   bool   // it would be taken, unless it was stolen elsewhere
	Says     string // words for the person
}

// Rate judges a password by what this machine knows: nobody else is asked, since
// what is being typed is not chosen yet. about is what the person is called.
func Rate(password string, about ...string) Rating {
	if n := utf8.RuneCountInString(norm.NFC.String(password)); n < MinLength {
		return Rating{Says: fmt.Sprintf("Too short: %d of %d characters.", n, MinLength)}
	}
	if err := Check(password, about...); err != nil {
		return Rating{Says: err.Error()}
	}
	r := Rating{Strength: Strength(password, about...)}
	r.Enough = r.Strength >= enough
	switch {
	case !r.Enough:
		r.Says = "Too easy to guess. Add a word that has nothing to do with the others."
	case r.Strength == enough:
		r.Says = "Good: hard to guess."
	default:
		r.Says = "Strong: very hard to guess."
	}
	return r
}

// Breaches knows passwords that were stolen elsewhere.
type Breaches interface {
	Breached(ctx context.Context, password string) (bool, error)
}

// Policy decides about new passwords: Check, and then their strength and
// whether they are known to be stolen.
type Policy struct {
	Breaches Breaches // nil leaves it at the list in this package
	Log      *slog.Logger
}

// Check is fault.Invalid for a password that is not acceptable. While Breaches
// cannot be asked, the list in this package has to do: nobody is kept out
// because somebody else's service is away.
func (p *Policy) Check(ctx context.Context, password string, about ...string) error {
	if err := Check(password, about...); err != nil {
		return err
	}
	if got := Strength(password, about...); got < enough {
		return refuse(fmt.Sprintf("This password is too easy to guess: its strength is %d of 4, and %d is needed. "+
			"It is made of a pattern, or of words that often stand together; add a word that has nothing to do with the others.", got, enough))
	}
	if p == nil || p.Breaches == nil {
		return nil
	}
	breached, err := p.Breaches.Breached(ctx, password)
	if err != nil {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "stolen passwords not looked up", slog.String("error", err.Error()))
		return nil
	}
	if breached {
		return refuse("This password was stolen from another service and is on lists that attackers try. Please choose another, and change it wherever you use it.")
	}
	return nil
}
