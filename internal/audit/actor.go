package audit

import "larder/internal/id"

// Person is the actor of what somebody did who was signed in.
func Person(user id.ID) Actor { return Actor{Kind: "user", ID: user.String()} }
