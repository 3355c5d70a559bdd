// Package policy decides whether a caller may do what he asks for. It is the
// only place that does: features describe the request and obey the Decision.
//
//	Request{Principal, Action, Resource, Context}
//	   | check: every attribute is there and known          -> deny "malformed_request"
//	   | Cedar: guards.cedar + rules.cedar + family.cedar, those
//	   |        policies whose scope can match the action
//	   |          evaluation error                          -> deny "evaluation_error"
//	   |          any forbid                                -> deny, with @id and @reason
//	   |          no permit                                 -> deny "default_deny"
//	   v          a permit and no forbid                    -> allow
//	Decision{Allowed, Policies, Reason, Remedy, MissingScope, StepUp}
//
// The principal is a membership (a user in one family), an installed app or an
// API key, so that one person may hold different roles in two families. What
// role he holds is read fresh from the database for each request; nothing in a
// token grants it. The scopes of the token are a ceiling on top.
//
// guards.cedar holds what no family's rules may loosen: the tenant boundary,
// the scope ceiling, personal lists, what machines never do. family.cedar says
// what the roles may do, and an operator may replace it by a directory of
// .cedar files, which is read again when it changes. A set that does not parse
// or does not fit schema.cedarschema is refused whole; the one in force stays.
package policy
