package language

import (
	"strconv"
	"strings"
	"time"
)

// written is how sentences of ours write a moment.
const written = "2 January 2006 at 15:04 MST"

// dates is how a language writes them.
type dates struct {
	months []string
	order  string // D, M and Y stand for the parts
	at     string // between the day and the time
	and    string
}

func datesOf(tag string) dates {
	switch tag {
	case "de":
		return dates{strings.Fields("Januar Februar März April Mai Juni Juli August September Oktober November Dezember"), "D. M Y", ", ", "und"}
	case "fr":
		return dates{strings.Fields("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"), "D M Y", " à ", "et"}
	}
	return dates{strings.Fields("January February March April May June July August September October November December"), "D M Y", " at ", "and"}
}

// Day writes a date, such as 2 January 2006.
func (l *Language) Day(at time.Time) string {
	day := strconv.Itoa(at.Day())
	if l.Tag == "fr" && day == "1" {
		day = "1er"
	}
	return strings.NewReplacer("D", day, "M", l.dates.months[at.Month()-1], "Y", strconv.Itoa(at.Year())).Replace(l.dates.order)
}

// Moment writes a date and a time with its zone.
func (l *Language) Moment(at time.Time) string {
	return l.Day(at) + l.dates.at + at.Format("15:04 MST")
}
