package main

import (
	netmail "net/mail"
	"net/url"

	"larder/internal/brand"
	"larder/internal/env"
)

// readBrand reads how the service presents itself.
func readBrand(r *env.Reader) brand.Brand {
	b := brand.Larder()
	if name := r.String("AUTHSERVER_BRAND_NAME"); name != "" {
		if err := brand.CheckName(name); err != nil {
			r.Fault("AUTHSERVER_BRAND_NAME", "%v", err)
		} else {
			b.Name = name
		}
	}
	b.Light = readAccent(r, "AUTHSERVER_BRAND_ACCENT_LIGHT", b.Light, brand.Colour.CheckLight)
	b.Dark = readAccent(r, "AUTHSERVER_BRAND_ACCENT_DARK", b.Dark, brand.Colour.CheckDark)
	if path := r.String("AUTHSERVER_BRAND_LOGO"); path != "" {
		logo, err := brand.ReadLogo(path)
		if err != nil {
			r.Fault("AUTHSERVER_BRAND_LOGO", "%v", err)
		}
		b.Logo = logo
	}
	if contact := r.String("AUTHSERVER_BRAND_CONTACT"); contact != "" {
		address, err := netmail.ParseAddress(contact)
		if !isPage(contact) && (err != nil || address.Address != contact) {
			r.Fault("AUTHSERVER_BRAND_CONTACT", "must be an e-mail address such as help@example.com, or an https address")
		}
		b.Contact = contact
	}
	b.Terms = readPage(r, "AUTHSERVER_BRAND_TERMS_URL")
	b.Privacy = readPage(r, "AUTHSERVER_BRAND_PRIVACY_URL")
	return b
}

func readAccent(r *env.Reader, name string, usual brand.Colour, check func(brand.Colour) error) brand.Colour {
	v := r.String(name)
	if v == "" {
		return usual
	}
	colour, err := brand.ParseColour(v)
	if err == nil {
		err = check(colour)
	}
	if err != nil {
		r.Fault(name, "%v", err)
		return usual
	}
	return colour
}

func readPage(r *env.Reader, name string) string {
	v := r.String(name)
	if v != "" && !isPage(v) {
		r.Fault(name, "must be an https address")
	}
	return v
}

// isPage reports whether a text is the https address of a page.
func isPage(v string) bool {
	u, err := url.Parse(v)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}
