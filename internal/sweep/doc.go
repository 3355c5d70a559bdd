// Package sweep deletes rows whose time is over, some at a time, and shows in
// metrics that it still does. Every replica sweeps: what one deletes, the others
// no longer find.
package sweep
