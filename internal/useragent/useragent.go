// Package useragent names a browser and its system from the User-Agent header,
// as far as a person needs it to recognise a device of their own. The header
// says what its sender likes: nothing may be decided by it.
package useragent

import "strings"

// mark is a word of the header and what it means; the first that is found
// counts, since browsers also name those that they are compatible with.
type mark struct{ word, means string }

// Describe returns such as "Firefox on Windows".
func Describe(header string) string {
	browser := first(header, []mark{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
	})
	system := first(header, []mark{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"Windows", "Windows"},
		{"CrOS", "ChromeOS"},
		{"Macintosh", "Mac"},
		{"Linux", "Linux"},
	})
	switch {
	case browser == "" && system == "":
		return "An unknown device"
	case system == "":
		return browser
	case browser == "":
		return "A browser on " + system
	}
	return browser + " on " + system
}

func first(header string, marks []mark) string {
	for _, m := range marks {
		if strings.Contains(header, m.word) {
			return m.means
		}
	}
	return ""
}
