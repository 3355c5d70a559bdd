// Package pgtest gives a test a PostgreSQL database and a Redis database of its own, on real servers.
//
//	both schemas migrated once ──> template, named by the migrations' content hash
//	                                 │ CREATE DATABASE … TEMPLATE
//	                                 └──> one database per New, dropped when the test ends
//
//	Redis, RedisURL ──> a leased logical database, emptied before and after
//
// The servers are those of DATABASE_URL and REDIS_URL, or those that `make services` keeps running. Without servers a
// test fails and says what to run; it never skips.
package pgtest
