// Package strength tells people who choose a password how hard it is to guess,
// while they type it:
//
//	page --form.js, when typing rests--> POST /password/strength --password.Rate--> 0 to 4, and words
//
// The judgement is the one that the form meets when it is sent (package
// password), save for the list of stolen passwords: that is asked once, for what
// was chosen. Nothing of the password is kept, logged or passed on. Without a
// script the form says the same after it was sent.
package strength
