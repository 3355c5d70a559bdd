// Package sms sends text messages.
//
//	a worker -> Sender: Gateway (an HTTP provider that speaks Twilio's API),
//	                    or a Directory of *.txt in development
//
// Workers of the queue call it, never a request, so that a provider that is away
// or slow delays a message and no page.
package sms
