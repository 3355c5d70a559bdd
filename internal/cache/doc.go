// Package cache opens Redis and says what its errors mean. What lies there is
// short-lived: browser sessions, authorization codes, login flows, replay
// guards. Losing it costs a login in flight, never an account.
package cache
