// The demo task: one small page that shows which container answers. It lets tests and newcomers walk the whole
// flow without a registry, and it can be told to end by itself.
//
//	GET  /              the page
//	GET  /healthz       200 "ok"
//	POST /exit?code=N   answers, then exits with code N (0 to 255; 0 when it is left out)
//
// Environment: DEMO_PORT (8080), DEMO_TITLE, TASK_ID, USER_ID (shown only), DEMO_EXIT_AFTER (seconds until it exits
// with DEMO_EXIT_CODE), DEMO_START_DELAY (seconds before it listens), FRAME_ANCESTORS (who may frame the page).
package main

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; color: #14213d;
  background: linear-gradient(135deg, #dff3ff, #f3e8ff) }
main { width: min(34rem, 90vw); background: #fffd; border-radius: 1rem; padding: 2rem; box-shadow: 0 1rem 3rem #14213d22 }
h1 { margin: 0 0 1rem; font-size: 1.4rem }
h1::before { content: ""; display: inline-block; width: .7rem; height: .7rem; margin-right: .6rem; border-radius: 50%; background: #2a9d8f }
dl { display: grid; grid-template-columns: auto 1fr; gap: .3rem 1.2rem; margin: 0 }
dt { opacity: .65 }
dd { margin: 0; overflow-wrap: anywhere; font-family: ui-monospace, monospace }
@media (prefers-color-scheme: dark) {
  body { color: #e8eefc; background: linear-gradient(135deg, #0b1b2b, #24143a) }
  main { background: #0d1524dd }
}
</style>
<main>
<h1>{{.Title}}</h1>
<dl>
<dt>task</dt><dd id="task">{{.TaskID}}</dd>
<dt>user</dt><dd>{{.UserID}}</dd>
<dt>container</dt><dd>{{.Hostname}}</dd>
<dt>up</dt><dd><span id="up">{{.Uptime}}</span> s</dd>
</dl>
</main>
<script>let up = {{.Uptime}}; setInterval(() => { document.getElementById('up').textContent = ++up }, 1000)</script>
</html>
`))

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// seconds reads a number of seconds; a value that is not one ends the program at once, so that a typing error in a
// service type shows as a failed start and not as a task that behaves oddly.
func seconds(name string) time.Duration {
	value, err := strconv.ParseFloat(env(name, "0"), 64)
	if err != nil || value < 0 {
		fmt.Fprintf(os.Stderr, "%s must be a number of seconds\n", name)
		os.Exit(64)
	}
	return time.Duration(value * float64(time.Second))
}

func exitCode(text string) (int, error) {
	code, err := strconv.Atoi(text)
	if err != nil || code < 0 || code > 255 {
		return 0, fmt.Errorf("an exit code is a whole number from 0 to 255")
	}
	return code, nil
}

func main() {
	started := time.Now()
	hostname, _ := os.Hostname() // shown only: an unknown name is an empty line
	ended := make(chan int, 3)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() { <-signals; ended <- 0 }()

	if after := seconds("DEMO_EXIT_AFTER"); after > 0 {
		code, err := exitCode(env("DEMO_EXIT_CODE", "0"))
		if err != nil {
			fmt.Fprintln(os.Stderr, "DEMO_EXIT_CODE:", err)
			os.Exit(64)
		}
		time.AfterFunc(after, func() { ended <- code })
	}

	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/exit", func(w http.ResponseWriter, r *http.Request) {
		code, err := exitCode(r.URL.Query().Get("code"))
		if r.URL.Query().Get("code") == "" {
			code, err = 0, nil
		}
		if r.Method != http.MethodPost || err != nil {
			http.Error(w, "POST /exit?code=0..255", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "exiting with %d\n", code)
		select {
		case ended <- code:
		default: // somebody else already ended it
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "frame-ancestors "+env("FRAME_ANCESTORS", "'self'"))
		w.Header().Set("Cache-Control", "no-store")
		_ = page.Execute(w, map[string]any{
			"Title": env("DEMO_TITLE", "Your task is running"), "TaskID": env("TASK_ID", "-"), "UserID": env("USER_ID", "-"),
			"Hostname": hostname, "Uptime": int(time.Since(started).Seconds()),
		}) // the only failure is a reader that went away
	})

	server := &http.Server{Addr: ":" + env("DEMO_PORT", "8080"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		time.Sleep(seconds("DEMO_START_DELAY"))
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			fmt.Fprintln(os.Stderr, err)
			ended <- 1
		}
	}()

	code := <-ended
	drain, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = server.Shutdown(drain) // a request that is still open after a second ends with the process
	os.Exit(code)
}
