package recurring

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheNextDay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, today string
		every        int
		period, next string
	}{
		{"2026-11-22", "2026-11-22", 3, "day", "2026-11-25"},
		{"2026-11-22", "2026-12-01", 3, "day", "2026-12-04"}, // missed twice, and in step still
		{"2026-11-22", "2026-11-22", 2, "week", "2026-12-06"},
		{"2026-01-31", "2026-01-31", 1, "month", "2026-02-28"},
		{"2024-01-31", "2024-01-31", 1, "month", "2024-02-29"},
		{"2026-01-31", "2026-02-28", 1, "month", "2026-03-31"},
		{"2026-11-30", "2026-11-30", 12, "month", "2027-11-30"},
	} {
		o := Order{NextOn: c.first, Every: c.every, Period: c.period}
		today, err := time.Parse(time.DateOnly, c.today)
		if err != nil {
			t.Fatal(err)
		}
		if next, err := o.after(today); err != nil || next != c.next {
			t.Errorf("%+v: %s, %v", c, next, err)
		}
	}
}

func TestADayBeginsAtFourWhereTheFamilyLives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "now"), 0)
		day := today(now, zone)
		at, err := due(day.Format(time.DateOnly), zone)
		if err != nil {
			t.Fatal(err)
		}
		// The hour that a change of the clock takes or gives is the only slack.
		if since := now.Sub(at); since < -time.Hour || since >= 25*time.Hour {
			t.Errorf("%s is said to be in %s, which began %s before", now.In(zone), day.Format(time.DateOnly), since)
		}
		o := Order{NextOn: day.Format(time.DateOnly), Every: rapid.IntRange(1, 365).Draw(t, "every"), Period: rapid.SampledFrom([]string{"day", "week", "month"}).Draw(t, "period")}
		next, err := o.after(day)
		if later, parseErr := time.ParseInLocation(time.DateOnly, next, zone); err != nil || parseErr != nil || !later.After(day) {
			t.Errorf("after %s comes %s: %v", o.NextOn, next, err)
		}
	})
}
