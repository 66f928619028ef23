// Package runtimeapi runs a built bootstrap as Lambda does: with its own
// environment, behind the Runtime API, one event at a time, killed when its
// time is over.
//
// It owns the process that it starts. It does not freeze the process between
// events, has no limit on memory, and lends it this machine's network.
package runtimeapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	prefix = "/2018-06-01/runtime/" // the API's version; there is no other
	// DefaultTimeout is the function's timeout if none is given.
	DefaultTimeout = 3*time.Minute + 30*time.Second
	maxAnswer      = 6 << 20 // bytes, as Lambda takes
)

// Function is a built bootstrap with its settings.
type Function struct {
	Name      string
	Bootstrap string // path; its directory is the working directory
	// Env is all of the process's environment but what the Runtime API itself
	// needs. Nothing of this process's own is passed on.
	Env     []string
	Timeout time.Duration // of one event; 0 means DefaultTimeout
	// Stdout and Stderr hear what the process prints; nil means nobody.
	Stdout, Stderr io.Writer
}

// Instance is one running process.
type Instance struct {
	timeout time.Duration
	server  *http.Server
	cmd     *exec.Cmd

	next   chan *event
	polled chan struct{} // closed at the first poll
	exited chan struct{} // closed when the process has ended
	cause  error         // of the end; read after exited

	turn sync.Mutex // one event at a time

	mu        sync.Mutex
	current   *event
	started   time.Time
	firstPoll time.Duration
	initError []byte
}

type event struct {
	id       string
	payload  []byte
	deadline time.Time
	done     chan Result
}

// Result is what the function said.
type Result struct {
	RequestID string
	Payload   []byte
	// Failed says that it is an error: {"errorMessage", "errorType"}.
	Failed bool
	Took   time.Duration
}

// ExitedError says that the process ended, by itself or killed.
type ExitedError struct {
	Function string
	Init     []byte // what it said about its start, if it did
	Cause    error
}

func (e *ExitedError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s ended: %v %s", e.Function, e.Cause, e.Init))
}

// Unwrap gives the cause.
func (e *ExitedError) Unwrap() error { return e.Cause }

// ErrTimeout says that the function was killed because its time was over.
var ErrTimeout = errors.New("the function's timeout is over; it was killed")

// Start starts the process. Close ends it.
func Start(f Function) (*Instance, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(f.Bootstrap)
	if err != nil {
		return nil, err
	}
	i := &Instance{timeout: f.Timeout, next: make(chan *event), polled: make(chan struct{}), exited: make(chan struct{})}
	if i.timeout <= 0 {
		i.timeout = DefaultTimeout
	}
	i.server = &http.Server{Handler: i.handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = i.server.Serve(listener) }() // until Close
	i.cmd = exec.Command(path)
	i.cmd.Dir = filepath.Dir(path)
	i.cmd.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=" + f.Name, "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "_HANDLER=bootstrap", "LAMBDA_TASK_ROOT=" + i.cmd.Dir, "LANG=en_US.UTF-8", "TZ=:UTC", "PATH=/usr/bin:/bin",
	}, f.Env...)
	i.cmd.Stdout, i.cmd.Stderr = f.Stdout, f.Stderr
	i.mu.Lock() // the first poll may come before Start returns
	i.started = time.Now()
	i.mu.Unlock()
	if err := i.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", f.Bootstrap, err), i.server.Close())
	}
	go func() {
		err := i.cmd.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		i.mu.Lock()
		i.cause = &ExitedError{Function: f.Name, Init: i.initError, Cause: err}
		i.mu.Unlock()
		close(i.exited)
	}()
	return i, nil
}

func (i *Instance) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+prefix+"invocation/next", i.serveNext)
	mux.HandleFunc("POST "+prefix+"invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { i.take(w, r, false) })
	mux.HandleFunc("POST "+prefix+"invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) { i.take(w, r, true) })
	mux.HandleFunc("POST "+prefix+"init/error", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
		i.mu.Lock()
		i.initError = b
		i.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

func (i *Instance) serveNext(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	if i.firstPoll == 0 {
		i.firstPoll = time.Since(i.started)
		close(i.polled)
	}
	i.mu.Unlock()
	select {
	case ev := <-i.next:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", ev.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(ev.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:111122223333:function:local")
		_, _ = w.Write(ev.payload) // a process that has gone is seen by its end
	case <-r.Context().Done():
	}
}

// take hears an answer. One for another event than the present one is refused.
func (i *Instance) take(w http.ResponseWriter, r *http.Request, failed bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	if err != nil {
		return
	}
	if len(body) > maxAnswer {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	i.mu.Lock()
	ev := i.current
	if ev == nil || ev.id != r.PathValue("id") {
		i.mu.Unlock()
		http.Error(w, `{"errorType":"InvalidRequestID"}`, http.StatusBadRequest)
		return
	}
	i.current = nil
	i.mu.Unlock()
	ev.done <- Result{RequestID: ev.id, Payload: body, Failed: failed}
	w.WriteHeader(http.StatusAccepted)
}

// Ready waits until the process polls for its first event, and says how long
// after its start that was.
func (i *Instance) Ready(ctx context.Context) (time.Duration, error) {
	select {
	case <-i.polled:
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.firstPoll, nil
	case <-i.exited:
		return 0, i.ended()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Invoke sends an event and waits for the answer. The error is an *ExitedError
// if the process ended over it, with ErrTimeout if its time was over.
func (i *Instance) Invoke(ctx context.Context, payload []byte) (Result, error) {
	i.turn.Lock()
	defer i.turn.Unlock()
	began := time.Now()
	ev := &event{id: requestID(), payload: bytes.Clone(payload), deadline: began.Add(i.timeout), done: make(chan Result, 1)}
	i.mu.Lock()
	i.current = ev
	i.mu.Unlock()
	timer := time.NewTimer(i.timeout)
	defer timer.Stop()
	select {
	case i.next <- ev:
	case <-i.exited:
		return Result{}, i.ended()
	case <-timer.C:
		return Result{}, errors.Join(ErrTimeout, i.Kill())
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
	select {
	case r := <-ev.done:
		r.Took = time.Since(began)
		return r, nil
	case <-i.exited:
		return Result{}, i.ended()
	case <-timer.C:
		return Result{}, errors.Join(ErrTimeout, i.Kill())
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
}

func (i *Instance) ended() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.cause
}

// requestID looks like Lambda's.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Kill ends the process at once, as Lambda ends a sandbox, and waits for its
// end.
func (i *Instance) Kill() error {
	err := i.cmd.Process.Kill()
	<-i.exited
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Pid is the process's id.
func (i *Instance) Pid() int { return i.cmd.Process.Pid }

// Close ends the process and the Runtime API.
func (i *Instance) Close() error { return errors.Join(i.Kill(), i.server.Close()) }
