// Package policytool is what people try policies with before, and ask after,
// they are in force: `resourceapi policy check|test|explain`. It needs neither
// a database nor the service; the engine is the service's own.
//
//	check    the directory parses, fits the schema, and names no id twice
//	test     a file of cases: who does what to what, when, and what is expected
//	explain  one case, from flags: the answer, the policies, and what would help
package policytool
