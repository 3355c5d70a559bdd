// Package telemetry makes the two things every part of a service reports to:
// a slog.Logger that writes one JSON object a line, and a Prometheus registry
// with the runtime's own figures.
package telemetry
