// A program that tries, from inside a task's container, what its fence is to stop, and answers what came of it.
//
//	GET /healthz               200 "ok"
//	GET /connect?to=host:port  "open", or why not
//	GET /resolve?name=N        "open", or why not
//	GET /read?path=P           the file
//	GET /write?path=P&bytes=N  "written N", or how far it came and why not further
//	GET /files?count=N         how many files it could open at once
//	GET /processes?count=N     how many processes it could start
//	GET /eat?bytes=N           takes that much memory; an answer means that it got it
//	GET /say?bytes=N           prints that much
//	GET /deaf                  from now on it does not hear SIGTERM
//	GET /burn?ms=N             milliseconds of CPU that it got in that time, on all cores
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var kept [][]byte

func number(r *http.Request, name string) int {
	value, _ := strconv.Atoi(r.URL.Query().Get(name)) // the only caller is our own test
	return value
}

func outcome(err error) string {
	if err == nil {
		return "open"
	}
	return err.Error()
}

func write(path string, bytes int) string {
	file, err := os.Create(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	block := make([]byte, 64<<10)
	for written := 0; written < bytes; {
		count, err := file.Write(block[:min(len(block), bytes-written)])
		written += count
		if err != nil {
			return fmt.Sprintf("%d: %v", written, err)
		}
	}
	return fmt.Sprintf("written %d", bytes)
}

func openFiles(count int) int {
	var opened []*os.File
	for len(opened) < count {
		file, err := os.Open("/proc/self/status")
		if err != nil {
			break
		}
		opened = append(opened, file)
	}
	for _, file := range opened {
		file.Close()
	}
	return len(opened)
}

func startProcesses(count int) int {
	var started []*exec.Cmd
	for len(started) < count {
		child := exec.Command("/proc/self/exe", "sleep")
		if child.Start() != nil {
			break
		}
		started = append(started, child)
	}
	for _, child := range started {
		child.Process.Kill()
		child.Wait()
	}
	return len(started)
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func burn(length time.Duration) int64 {
	before, until := cpuTime(), time.Now().Add(length)
	for range runtime.NumCPU() {
		go func() {
			for time.Now().Before(until) {
			}
		}()
	}
	time.Sleep(length)
	return (cpuTime() - before).Milliseconds()
}

func main() {
	if len(os.Args) > 1 {
		time.Sleep(time.Minute)
		return
	}
	answer := func(path string, give func(r *http.Request) string) {
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, give(r)) })
	}
	answer("/healthz", func(*http.Request) string { return "ok" })
	answer("/connect", func(r *http.Request) string {
		connection, err := net.DialTimeout("tcp", r.URL.Query().Get("to"), 1500*time.Millisecond)
		if err == nil {
			connection.Close()
		}
		return outcome(err)
	})
	answer("/resolve", func(r *http.Request) string {
		limited, cancel := context.WithTimeout(r.Context(), 3*time.Second)
		defer cancel()
		_, err := net.DefaultResolver.LookupHost(limited, r.URL.Query().Get("name"))
		return outcome(err)
	})
	answer("/read", func(r *http.Request) string {
		content, err := os.ReadFile(r.URL.Query().Get("path"))
		if err != nil {
			return err.Error()
		}
		return string(content)
	})
	answer("/write", func(r *http.Request) string { return write(r.URL.Query().Get("path"), number(r, "bytes")) })
	answer("/files", func(r *http.Request) string { return strconv.Itoa(openFiles(number(r, "count"))) })
	answer("/processes", func(r *http.Request) string { return strconv.Itoa(startProcesses(number(r, "count"))) })
	answer("/eat", func(r *http.Request) string {
		block := make([]byte, number(r, "bytes"))
		for at := 0; at < len(block); at += 4096 {
			block[at] = 1
		}
		kept = append(kept, block)
		return "got it"
	})
	answer("/deaf", func(*http.Request) string {
		signal.Ignore(syscall.SIGTERM)
		return "deaf"
	})
	answer("/say", func(r *http.Request) string {
		line := strings.Repeat("x", 1023) + "\n"
		for said := 0; said < number(r, "bytes"); said += len(line) {
			fmt.Print(line)
		}
		return "said"
	})
	answer("/burn", func(r *http.Request) string {
		return strconv.FormatInt(burn(time.Duration(number(r, "ms"))*time.Millisecond), 10)
	})

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() { <-signals; os.Exit(0) }()
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":8080", nil))
	os.Exit(1)
}
