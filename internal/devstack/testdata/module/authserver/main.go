package main

import (
	"crypto/rand"
	"os"

	"stand.in/service"
)

func main() {
	service.Main("authserver", os.Getenv("AUTHSERVER_ADDR"), func(document map[string]any) {
		for _, user := range document["users"].([]any) {
			if user := user.(map[string]any); user["password"] == "" {
				user["password"] = rand.Text()
			}
		}
	})
}
