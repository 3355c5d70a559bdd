// Package jobs is work that a transaction leaves behind to be done after it
// commits, by any replica, until it is done: River on PostgreSQL.
//
//	InTx: change the rows, Queue.Insert(args)   nothing is lost, nothing is
//	  '- commit ------------------------.       done for a change that was not
//	                                    v
//	Crew.Run on every replica -> a worker of the arguments' kind
//	  fails -> again after 1 s, 16 s, 81 s … (attempt^4), a bounded number of times
//	  dies  -> another replica takes the job over after a minute
//
// Two metrics say how far behind the crews are: jobs_overdue_seconds when too few
// work, jobs_failing when what they need is away.
//
// A job may so be done twice; what it does must bear that. Its id stays the
// same, which is how a repetition is known.
package jobs
