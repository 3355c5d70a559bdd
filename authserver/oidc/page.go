package oidc

// MessagePage is what message.html shows.
type MessagePage struct {
	Title, Message   string
	Failed           bool // the message is an error
	LinkPath, LinkTo string
}

// ConfirmPage is what confirm.html shows.
type ConfirmPage struct {
	Title, Lead, Address, Button string
}

// CodesPage is what recovery-codes.html shows, once.
type CodesPage struct {
	AppName string
	Codes   []string
	Fresh   bool   // the factor has just been set up
	Passkey bool   // it is a passkey
	Onward  string // where the person goes on to
}
