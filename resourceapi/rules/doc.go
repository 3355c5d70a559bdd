// Package rules serves the ready-made rules of a family, which its admins
// switch on without knowing the policy language:
//
//	GET, PUT  /v1/families/{family_id}/rules
//
//	PUT -> checked -> grocery.families.rules, its version and its event
//	every request enters the family and brings its rules along (package tenant)
//	policy.Rules.For: which of them bear on this caller, action and moment
//	rules.cedar: what those forbid, the same for all families
package rules
