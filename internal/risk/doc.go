// Package risk says how unlike its owner a sign-in looks, and remembers where
// its owner signs in.
//
//	first factor accepted --> Assess --> score 0 to 100, and why
//	    low     nothing more
//	    medium  nothing more; resource servers see it
//	    high    a second factor or a code by mail, or refusal
//	sign-in complete --> Remember --> the device is recognised; if it is new,
//	                                  its owner gets a mail with a link to
//	                                  say that it was somebody else
//
// The signals are few and each is one that the owner would understand: a browser
// never seen, a network never seen, a journey faster than an aeroplane, a
// password that was stolen elsewhere, many wrong passwords within the hour. What
// strangers can cause alone, wrong passwords, never makes a sign-in at a
// recognised browser a high risk.
//
// Places come from a MaxMind database that the operator supplies; without one
// there are none, and no journeys.
package risk
