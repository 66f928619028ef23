package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
)

// verbs is the command line. Each verb is a struct with its flags and a Run
// method, in a file of its own name.
type verbs struct {
	JSON    bool        `name:"json" help:"Answer in JSON on stdout."`
	Verbose bool        `short:"v" help:"Log what happens to stderr, every request included."`
	Version versionFlag `help:"Show the version and end."`

	Demo demoVerb `cmd:"" group:"try" help:"A simulated mesh of three clusters, watched, on this machine."`
	Sim  simVerb  `cmd:"" group:"try" help:"The simulated mesh alone, for your own experiments."`

	Init initVerb `cmd:"" group:"watch" help:"A mesh.yaml from one publisher: the first hour."`
	Run  runVerb  `cmd:"" group:"watch" help:"Watch a mesh: look, judge, raise alarms, show the page."`

	Status    statusVerb    `cmd:"" group:"ask" help:"The whole mesh: peers, findings, alarms."`
	Matrix    matrixVerb    `cmd:"" group:"ask" help:"Every directed peer on one screen."`
	Explain   explainVerb   `cmd:"" group:"ask" help:"One directed peer: conditions, clocks, changes, what to do next."`
	User      userVerb      `cmd:"" group:"ask" help:"Where one user is home, and which clusters hold a copy."`
	Synced    syncedVerb    `cmd:"" group:"ask" help:"Which peers have synced since an instant."`
	Audit     auditVerb     `cmd:"" group:"ask" help:"What is wrong with users, over the whole mesh."`
	Check     checkVerb     `cmd:"" group:"ask" help:"Certificates that expire, changed or do not fit."`
	Preflight preflightVerb `cmd:"" group:"ask" help:"What Cisco's chapter asks of a mesh, row by row."`
	Probe     probeVerb     `cmd:"" group:"ask" help:"What each cluster can be asked, and a proposal for what is not documented."`
	History   historyVerb   `cmd:"" group:"ask" help:"Who decided what, and when."`

	Plan     planVerb     `cmd:"" group:"ask" help:"What Peerkeeper would do, and what stands in the way."`
	Evidence evidenceVerb `cmd:"" group:"ask" help:"The bundle that a TAC case needs, for one peer."`

	Approve     approveVerb     `cmd:"" group:"decide" help:"Consent to one exact action of the plan."`
	Pause       pauseVerb       `cmd:"" group:"decide" help:"Keep Peerkeeper from acting."`
	Resume      resumeVerb      `cmd:"" group:"decide" help:"End a pause, or let a rejected account be tried again."`
	Maintenance maintenanceVerb `cmd:"" group:"decide" help:"Begin or end maintenance: neither actions nor notices."`
	Ack         ackVerb         `cmd:"" group:"decide" help:"Say that an alarm is known."`
	Trust       trustVerb       `cmd:"" group:"decide" help:"Accept a node's certificate."`

	Peering peeringVerb `cmd:"" group:"decide" help:"Change peering by a plan: steps that are carried out, done by a person, and verified."`

	Completion completionVerb `cmd:"" group:"shell" help:"Completion for your shell."`
}

var groups = [...]kong.Group{
	{Key: "try", Title: "Try it"},
	{Key: "watch", Title: "Watch"},
	{Key: "ask", Title: "Ask (nothing is changed, exit 1 if something is wrong)"},
	{Key: "decide", Title: "Decide (recorded, with your name)"},
	{Key: "shell", Title: "Shell"},
}

const about = `Peerkeeper watches the intercluster peers of Cisco IM and Presence meshes and tells the truth about every direction of every peer. In mode observe, the default, it never changes a cluster; in mode recover it starts what is stopped, restarts what is stuck and puts a missing certificate into a trust store, through one gate.

Start with: peerkeeper demo`

// problem is the outcome of a verb that has said on stdout what is wrong.
type problem struct{}

func (problem) Error() string { return "a problem was found" }

// usage is an error that its reader mends in a command line, a file or an
// address: exit 2.
type usage struct{ cause error }

func (u usage) Error() string { return u.cause.Error() }
func (u usage) Unwrap() error { return u.cause }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// command parses and carries out one command line and gives the exit code.
func command(ctx context.Context, args []string, t *terminal) int {
	var v verbs
	ended := false // by --help or --version
	parser, err := newParser(&v, t, func(int) { ended = true })
	if err != nil {
		return t.fail(err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	chosen, err := parser.Parse(args)
	if ended {
		return 0
	}
	if err != nil {
		return t.fail(usage{withHint(err)})
	}
	t.begin(v.JSON, v.Verbose)
	chosen.BindTo(ctx, (*context.Context)(nil))
	err = chosen.Run(t)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	return t.fail(err)
}

func newParser(v *verbs, t *terminal, exit func(int)) (*kong.Kong, error) {
	return kong.New(v,
		kong.Name("peerkeeper"), kong.Description(about), kong.ExplicitGroups(groups[:]),
		kong.Writers(t.stdout, t.stderr), kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 96}),
	)
}

// withHint tells where the verb's own help is.
func withHint(err error) error {
	verb := ""
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			verb = " " + strings.TrimPrefix(node.FullPath(), "peerkeeper ")
		}
	}
	return fmt.Errorf("%w; see peerkeeper%s --help", err, verb)
}

// versionFlag prints the version that Go recorded in the binary.
type versionFlag bool

// BeforeReset is called by kong when the flag is given.
func (versionFlag) BeforeReset(k *kong.Kong) error {
	version := "(built without version information)"
	if b, ok := debug.ReadBuildInfo(); ok {
		version = b.Main.Version + " " + b.GoVersion
	}
	k.Printf("%s", version)
	k.Exit(0)
	return nil
}
