package risk

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/link"
	"larder/internal/mail"
	"larder/internal/postgres"
	"larder/internal/secret"
	"larder/internal/useragent"
)

const (
	// RecognisedFor is how long a browser is recognised after its last sign-in.
	RecognisedFor = 180 * 24 * time.Hour

	mostDevices  = 20 // recognised for one person; the newest stay
	fewFailures  = 5  // wrong passwords within an hour that nobody minds
	fastest      = 1000.0
	nearby       = 500.0 // km; databases of addresses err by as much
	leastElapsed = time.Minute
)

// Jobs takes in what is to be done once a transaction has committed.
type Jobs interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// SignIns keeps where people sign in, in schema auth.
type SignIns struct {
	DB     *pgxpool.Pool
	Jobs   Jobs // nil writes to nobody
	Links  *link.Links
	Places *Places // nil knows no places
	Now    func() time.Time
}

// Recognised reports whether whoever has an e-mail address, in its canonical
// form, has signed in at a device before. Nobody has at the device "".
func (s *SignIns) Recognised(ctx context.Context, canonical, device string) (recognised bool, err error) {
	if device == "" {
		return false, nil
	}
	err = s.DB.QueryRow(ctx, selectRecognised, canonical, secret.Sum(device), s.Now().Add(-RecognisedFor)).Scan(&recognised)
	return recognised, postgres.Translate(err)
}

// past is what is known of a person before a sign-in.
type past struct {
	device, network bool // seen before
	any             bool // there was a sign-in before
	failures        int  // within the last hour
	breached        bool // the password was found among stolen ones
	last            Place
	lastAt          time.Time
}

// Assess weighs a sign-in whose first factor was accepted. source is as
// limit.Source names it. password says that the first factor was the password.
func (s *SignIns) Assess(ctx context.Context, user id.ID, device, source string, password bool) (*Assessment, error) {
	now := s.Now()
	p, err := s.past(ctx, user, device, source, now)
	if err != nil {
		return nil, err
	}
	var a Assessment
	if p.any && !p.device {
		a.add(NewDevice, weighNewDevice)
	}
	if p.any && !p.network {
		a.add(NewNetwork, weighNewNetwork)
	}
	if here := s.Places.Find(source); here.Located && p.last.Located && tooFast(p.last, here, now.Sub(p.lastAt)) {
		a.add(ImpossibleTravel, weighTravel)
	}
	if password && p.breached {
		a.add(BreachedPassword, weighBreached)
	}
	if password && p.failures > fewFailures {
		a.add(RecentFailures, weighFailures)
	}
	return &a, nil
}

func (s *SignIns) past(ctx context.Context, user id.ID, device, source string, now time.Time) (p past, err error) {
	var latitude, longitude *float64
	var at *time.Time
	err = s.DB.QueryRow(ctx, selectPast, user, secret.Sum(device), network(source), now.Add(-time.Hour), user.String()).
		Scan(&p.device, &p.network, &p.any, &p.failures, &p.breached, &latitude, &longitude, &at)
	if latitude != nil && longitude != nil && at != nil {
		p.last, p.lastAt = Place{Latitude: *latitude, Longitude: *longitude, Located: true}, *at
	}
	return p, postgres.Translate(err)
}

// tooFast reports whether nobody travels like that.
func tooFast(from, to Place, elapsed time.Duration) bool {
	far := distance(from, to)
	return far > nearby && far/max(elapsed, leastElapsed).Hours() > fastest
}

// The link in the mail about a new browser, by which its reader says that it was
// somebody else. It lives as long as people leave mail unread, for all it does is
// to end that one sign-in.
const (
	NewsPurpose = "new_sign_in"
	NewsPath    = "/login/not-me"
	newsLife    = 7 * 24 * time.Hour
)

// News is the sign-in that such a link is about.
type News struct {
	User   id.ID     `json:"user"`
	SID    string    `json:"sid"`
	Device string    `json:"device"` // such as "Firefox on Windows"
	Where  string    `json:"where"`  // such as "Lyon, France (192.0.2.1)"
	At     time.Time `json:"at"`
}

// Visit is a sign-in that is complete.
type Visit struct {
	User      id.ID
	SID       string // of the session that it began
	Device    string // "" for none
	Source    string
	UserAgent string
	RequestID string
	Risk      *Assessment
}

// Remember recognises the device from now on. Its owner is told of a new one by
// mail, save of the first there is.
func (s *SignIns) Remember(ctx context.Context, v Visit) error {
	if v.Device == "" {
		return nil
	}
	now, place := s.Now(), s.Places.Find(v.Source)
	var latitude, longitude *float64
	if place.Located {
		latitude, longitude = &place.Latitude, &place.Longitude
	}
	return postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		var fresh, others bool
		err := tx.QueryRow(ctx, upsertDevice, v.User, secret.Sum(v.Device), network(v.Source), place.Name, latitude, longitude, now, v.SID, v.RequestID).Scan(&fresh, &others)
		if err != nil || !fresh {
			return err
		}
		if _, err := tx.Exec(ctx, deleteOldest, v.User, mostDevices); err != nil || !others {
			return err
		}
		if err := s.tell(ctx, tx, v, place, now); err != nil {
			return err
		}
		e := audit.Event{
			OccurredAt: now, Action: "login.new_device", Result: audit.Success, Actor: audit.Person(v.User),
			SourceIP: v.Source, UserAgent: v.UserAgent, RequestID: v.RequestID, Details: map[string]any{"place": place.Name},
		}
		if v.Risk != nil {
			e.Details["risk_score"], e.Details["risk_signals"] = v.Risk.Score, v.Risk.Signals
		}
		return audit.Auth().Insert(ctx, tx, e)
	})
}

// Recognise recognises a device whose holder has proven in another way whose it
// is, in the transaction of that proof.
func (s *SignIns) Recognise(ctx context.Context, tx pgx.Tx, user id.ID, device, source string) error {
	var fresh, others bool
	err := tx.QueryRow(ctx, upsertDevice, user, secret.Sum(device), network(source), "", nil, nil, s.Now(), "", "").Scan(&fresh, &others)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, deleteOldest, user, mostDevices)
	return err
}

// tell writes to the person. Without jobs or an address nobody is told.
func (s *SignIns) tell(ctx context.Context, tx pgx.Tx, v Visit, place Place, now time.Time) error {
	if s.Jobs == nil {
		return nil
	}
	var to, name string
	if err := tx.QueryRow(ctx, selectAddress, v.User).Scan(&to, &name); err != nil || to == "" {
		return err
	}
	where := v.Source
	if place.Name != "" {
		where = place.Name + " (" + v.Source + ")"
	}
	news := News{User: v.User, SID: v.SID, Device: useragent.Describe(v.UserAgent), Where: where, At: now}
	linkID, err := s.Links.Issue(ctx, tx, link.New{Purpose: NewsPurpose, Subject: v.User.String() + " " + v.SID, Data: news, Life: newsLife})
	if err != nil {
		return err
	}
	return s.Jobs.Insert(ctx, tx, mail.Letter{
		Template: "new_sign_in", To: to, Name: name,
		Facts: map[string]string{"device": news.Device, "where": news.Where, "when": mail.When(now)},
		Link:  &mail.Link{Purpose: NewsPurpose, Path: NewsPath, ID: linkID},
	})
}
