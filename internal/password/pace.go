package password

import "time"

const (
	// lookEvery is how often a worker that hashes is looked at, pauseFor how long
	// it rests then if others want the processors, and mostPauses how often it may
	// be made to in one hash, which is so held up by a quarter of a second at most.
	lookEvery  = 4 * time.Millisecond
	pauseFor   = 8 * time.Millisecond
	mostPauses = 32

	// fairShare of a processor is what a worker gets where only other hashes and what
	// comes with them want it.
	fairShare = 0.4
	smoothing = 0.15 // weight of the newest look
)

// pacer decides when a worker pauses. Niceness does not do: a processor that
// hashes is no idle one to the kernel, so that somebody who wakes up is put
// behind another who is at work, while the next processor hashes
// (docs/decisions/0062).
type pacer struct {
	share  float64 // of a processor, that the worker got of late while it was let run
	pauses int     // in this hash
}

// crowded takes in how much of the time the worker ran, and reports whether it
// is to pause.
func (p *pacer) crowded(ran, of time.Duration) bool {
	p.share += smoothing * (float64(ran)/float64(of) - p.share)
	if p.share >= fairShare || p.pauses == mostPauses {
		return false
	}
	p.pauses++
	return true
}
