package oidc

// SignInProvider is somebody else who vouches for people, as the sign-in page
// offers it.
type SignInProvider struct {
	Name  string // of the button: google, apple
	Title string
}
