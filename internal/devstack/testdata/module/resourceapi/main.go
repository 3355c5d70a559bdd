package main

import (
	"os"

	"stand.in/service"
)

func main() {
	service.Main("resourceapi", os.Getenv("RESOURCEAPI_ADDR"), func(document map[string]any) {
		document["family_id"] = "0192f0c1-0000-7000-8000-000000000001"
	})
}
