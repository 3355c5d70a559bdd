package limit

import "time"

// AskWithin has l wait so long for Redis, on a machine that may be busy.
func (l *Leases) AskWithin(d time.Duration) { l.within = d }
