// Package service is what larder-dev asks of a service, and nothing else: it stands in for both in the tests of the
// stack, which are about starting, seeding and stopping.
package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Main runs the subcommand. fill completes the demo document.
func Main(name, addr string, fill func(map[string]any)) {
	switch os.Args[1] {
	case "migrate":
	case "demo":
		var document map[string]any
		if err := json.NewDecoder(os.Stdin).Decode(&document); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fill(document)
		if err := json.NewEncoder(os.Stdout).Encode(document); err != nil {
			os.Exit(1)
		}
	case "serve":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		server := &http.Server{Handler: handler(name)}
		for _, addr := range []string{addr, os.Getenv(strings.ToUpper(name) + "_INTERNAL_ADDR")} {
			listener, err := net.Listen("tcp", addr)
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			go func() { _ = server.Serve(listener) }()
		}
		fmt.Println(name, "listens")
		<-ctx.Done()
		fmt.Println(name, "drains")
		_ = server.Shutdown(context.Background())
	}
}

func handler(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /environment", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(os.Environ()) })
	mux.HandleFunc("POST /crash", func(http.ResponseWriter, *http.Request) {
		fmt.Println(name, "meets its end")
		os.Exit(7)
	})
	return mux
}
