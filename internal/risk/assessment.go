package risk

import "slices"

// Signals, as the audit log and introspection name them.
const (
	NewDevice        = "new_device"
	NewNetwork       = "new_network"
	ImpossibleTravel = "impossible_travel"
	BreachedPassword = "breached_password"
	RecentFailures   = "recent_failures"
)

// What each signal adds to the score. No two that strangers can cause reach
// highFrom, and a new browser with another signal of weight does.
const (
	weighNewDevice  = 30
	weighNewNetwork = 15
	weighTravel     = 50
	weighBreached   = 60
	weighFailures   = 25

	highest = 100
)

// Where the levels begin.
const (
	mediumFrom = 40
	highFrom   = 70
)

// Level is a score in a word, which tokens carry.
type Level string

// The levels.
const (
	Low    Level = "low"
	Medium Level = "medium"
	High   Level = "high"
)

// Assessment is what was found out about one sign-in. A nil one is one that
// nobody made.
type Assessment struct {
	Score    int      `json:"score"` // 0 to 100
	Signals  []string `json:"signals,omitempty"`
	Answered bool     `json:"answered,omitempty"` // by a second factor or a second channel
}

// Level is "" for a nil assessment. An answered one is never high: whoever holds
// the second factor too is very likely who they say.
func (a *Assessment) Level() Level {
	switch {
	case a == nil:
		return ""
	case a.Score >= highFrom && !a.Answered:
		return High
	case a.Score >= mediumFrom:
		return Medium
	}
	return Low
}

// Answer returns the assessment after a second factor or channel was shown.
func (a *Assessment) Answer() *Assessment {
	if a == nil {
		return nil
	}
	return &Assessment{Score: a.Score, Signals: slices.Clone(a.Signals), Answered: true}
}

func (a *Assessment) add(signal string, weight int) {
	a.Signals = append(a.Signals, signal)
	a.Score = min(a.Score+weight, highest)
}
