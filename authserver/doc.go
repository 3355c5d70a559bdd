// Command authserver is Larder's OpenID Provider.
//
//	main.go    signals, exit code
//	cli.go     subcommands and their help; cli_*.go what they do
//	config.go  the one Config, from the environment, every fault at once
//	core.go    what the server and the subcommands share: clients, users, keys
//	server.go  builds and mounts every feature; the only file that knows them all
//	demo.go    seeds the demo family for development
//
// A request reads downward:
//
//	server.go: trusted proxies -> request id, log event, metrics -> security headers
//	  -> router -> feature: oauth, account, consent, device, registration, page, admin
package main
