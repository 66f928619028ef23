// Command peerkeeper watches the intercluster peers of Cisco IM and Presence
// meshes: a demo on a simulated mesh, the watch itself, and questions about what
// it has seen.
//
// It owns verbs, flags, exit codes and what a terminal shows, and nothing else:
// what a verb does is operator's, host's, demo's and the use cases'. Exit 0 is ok, 1 a
// problem found, 2 bad usage or configuration; an error is one line on stderr
// with its cause and its cure, and stdout then holds nothing that a script could
// take for an answer.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"peerkeeper/shared/repair"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	t := newTerminal(os.Stdin, os.Stdout, os.Stderr, os.LookupEnv)
	t.privilege = repair.GrantPrivilege()
	code := command(ctx, os.Args[1:], t)
	os.Exit(code)
}
