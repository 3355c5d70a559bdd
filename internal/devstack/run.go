package devstack

import "context"

// Run is the main job.
func (s *Stack) Run(ctx context.Context) error { return s.Services(ctx) }
