// Package process runs the programs of the development stack as children that cannot outlive it.
//
//	Start ── own process group, parent-death signal, other account if asked
//	  │
//	  ├── output, line by line ──> log file, terminal, the last lines kept for a post-mortem
//	  │
//	  └── Done() closes when the child is gone; Stop() asks first and kills later
//
// A child has a process group of its own so that Ctrl-C in the terminal reaches only the parent, which
// then stops its children in the order that loses nothing.
package process
