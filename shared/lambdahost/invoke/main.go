// Command invoke runs a built bootstrap on one event, as `make invoke` does.
//
// With PEERKEEPER_TABLE in the environment it runs against whatever the
// environment names. Without it, it sets up a test stand: a simulated mesh of
// three clusters and an AWS emulator, both gone when it ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"peerkeeper/shared/lambdahost"
	"peerkeeper/shared/lambdahost/runtimeapi"
	"peerkeeper/shared/lambdahost/stand"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := invoke(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
	}
	os.Exit(code)
}

// The exit codes: as the command's.
const (
	ok    = 0
	bad   = 1
	usage = 2
)

func invoke(ctx context.Context, args []string, out, logs io.Writer) (int, error) {
	flags := flag.NewFlagSet("invoke", flag.ContinueOnError)
	flags.SetOutput(logs)
	event := flags.String("event", "", "file of the event; default events/NAME.json")
	after := flags.String("after", "", "comma-separated bootstraps to run first, on events of their own")
	if err := flags.Parse(args); err != nil {
		return usage, nil
	}
	if flags.NArg() != 1 {
		return usage, errors.New("usage: invoke [-event FILE] [-after BOOTSTRAP,…] dist/NAME/bootstrap")
	}
	paths := []string{flags.Arg(0)}
	if *after != "" {
		paths = append(strings.Split(*after, ","), paths...)
	}
	env := func(string) []string { return passedOn(os.Environ()) }
	if os.Getenv(lambdahost.VarTable) == "" {
		dir, err := os.MkdirTemp("", "peerkeeper-invoke-")
		if err != nil {
			return bad, err
		}
		defer os.RemoveAll(dir)
		s, err := stand.New(ctx, dir, stand.Options{})
		if err != nil {
			return bad, err
		}
		defer s.Close()
		env = s.Environment
	}
	for i, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		file := "events/" + name + ".json"
		if i == len(paths)-1 && *event != "" {
			file = *event
		}
		if code, err := one(ctx, name, path, file, env(name), out, logs); code != ok || err != nil {
			return code, err
		}
	}
	return ok, nil
}

func one(ctx context.Context, name, path, file string, env []string, out, logs io.Writer) (int, error) {
	sample, err := os.ReadFile(file)
	if err != nil {
		return usage, err
	}
	i, err := runtimeapi.Start(runtimeapi.Function{Name: name, Bootstrap: path, Env: env, Stdout: logs, Stderr: logs})
	if errors.Is(err, syscall.ENOEXEC) {
		return usage, fmt.Errorf("%s is built for another machine: GOARCH=amd64 make build (or your machine's) builds one for this", path)
	}
	if err != nil {
		return usage, err
	}
	r, err := i.Invoke(ctx, stand.Event(sample, time.Now()))
	// Ended first: what it printed comes before the answer, and whole.
	if err := errors.Join(err, i.Close()); err != nil {
		return bad, err
	}
	fmt.Fprintf(out, "%s\n", r.Payload)
	fmt.Fprintf(logs, "%s answered in %s\n", name, r.Took.Round(time.Millisecond))
	if r.Failed {
		return bad, nil
	}
	return ok, nil
}

// passedOn is what of this process's environment a function would find in a
// Lambda.
func passedOn(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		return !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "PEERKEEPER_") || strings.HasPrefix(v, "AWS_LAMBDA_")
	})
}
