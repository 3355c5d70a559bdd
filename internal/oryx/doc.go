// Package oryx stands in for github.com/ory/x, of which fosite uses two small
// packages. The real module brings every OpenTelemetry exporter, gRPC and a
// database toolkit into the build; go.mod replaces it by this one. See
// docs/decisions/0006.
package oryx
