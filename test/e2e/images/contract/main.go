// The program inside the containers of the runtime contract suite: it does what the suite tells it.
//
//	GET  /healthz                  200
//	POST /exit?code=N              ends with code N
//	POST /print?stream=S&text=T    writes the line T to stdout or stderr
//	POST /eat                      takes memory until it is killed
//
// It ends with 0 on SIGTERM, and with 64 at once when it is given an argument.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		os.Exit(64)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() { <-signals; os.Exit(0) }()

	http.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/exit", func(_ http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.URL.Query().Get("code"))
		if err != nil {
			code = 64
		}
		time.AfterFunc(50*time.Millisecond, func() { os.Exit(code) })
	})
	http.HandleFunc("/print", func(_ http.ResponseWriter, r *http.Request) {
		out := os.Stdout
		if r.URL.Query().Get("stream") == "stderr" {
			out = os.Stderr
		}
		fmt.Fprintln(out, r.URL.Query().Get("text"))
	})
	http.HandleFunc("/eat", func(http.ResponseWriter, *http.Request) {
		go func() {
			for held := [][]byte{}; ; {
				page := make([]byte, 1<<20)
				for i := 0; i < len(page); i += 4096 {
					page[i] = 1
				}
				held = append(held, page)
			}
		}()
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":8080", nil))
	os.Exit(1)
}
