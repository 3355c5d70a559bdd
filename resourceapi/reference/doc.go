// Package reference makes the API's OpenAPI document complete and readable.
//
//	openapi.yaml ──> Complete: an example wherever there is none ──> /openapi.json
//	                                                            └──> Page ──> /docs
//
// An example is made from the schema, so it cannot fall behind it; what a
// person wrote into the document stands. The page is one file without scripts,
// rendered once, whose policy admits its own style and nothing else.
package reference
