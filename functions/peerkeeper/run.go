package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/alarm/webhook"
	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/host"
	"peerkeeper/shared/listener"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/run"
	"peerkeeper/shared/syslogd"
)

const (
	pageAddress = "127.0.0.1:8080"
	noPage      = "off"
)

type runVerb struct {
	files
	secrets
	Once   name    `help:"Run this function once, now, whatever is due: peersync, stucksync, certcheck, preflight or peering." placeholder:"NAME"`
	Rate   float64 `help:"The rate of a simulated mesh's clock; it must be the one in mesh.yaml." placeholder:"N"`
	Listen string  `help:"Where the page is served, or off; default 127.0.0.1:8080, and none with --once. What other machines can reach takes the next three." env:"PEERKEEPER_LISTEN" placeholder:"HOST:PORT"`
	Syslog string  `help:"Where nodes push their logs to, over UDP and TCP; none by default. Lines count of the nodes of mesh.yaml, and of the relays in syslogFrom." env:"PEERKEEPER_SYSLOG" placeholder:"IP:PORT"`

	TLSCert   string   `name:"tls-cert" help:"The page's certificate, PEM, its chain after it; read again when it is renewed." env:"PEERKEEPER_TLS_CERT" placeholder:"FILE"`
	TLSKey    string   `name:"tls-key" help:"Its private key, PEM, not encrypted." env:"PEERKEEPER_TLS_KEY" placeholder:"FILE"`
	TokenFile string   `help:"The token that people log in with, readable by this account alone." env:"PEERKEEPER_TOKEN_FILE" placeholder:"FILE"`
	Host      []string `help:"A further name under which the page is asked for; may be given again." env:"PEERKEEPER_HOST" placeholder:"NAME"`
}

// Help is what peerkeeper run --help teaches.
func (runVerb) Help() string {
	return `Looks at every cluster every 5 minutes and at certificates every 6 hours (every 15 minutes where one is being mended), judges every directed peer, keeps what it knows in --state, raises alarms (to stdout, and to policy.notify's webhook and JSON-lines file, a path relative to mesh.yaml) and serves the page.
With --syslog it also takes lines that nodes push of their logs (Remote Syslog Server Name takes no port, so the port is 514, or is forwarded). They are hints: syslog proves no sender, so a line has the cluster's own log read earlier and is never evidence by itself.
It changes a cluster only in policy.mode recover, through one gate (peerkeeper plan shows what it would do); it never tries a rejected password again, and sends none before the server's certificate is verified. Killed at any moment it loses no alarm. A second run with the same --state is harmless: they take turns.

Examples:

  peerkeeper run --mesh mesh.yaml --secrets secrets.json --state state.db
  peerkeeper run --listen off                # no page
  peerkeeper run --syslog 0.0.0.0:514        # nodes push their logs here
  (umask 077; head -c 32 /dev/urandom | base64 > page.token)
  peerkeeper run --listen 0.0.0.0:8443 --tls-cert page.pem --tls-key page.key --token-file page.token --host mesh.example.com
  curl -H @header https://mesh.example.com:8443/api/status.json     # a file with: Authorization: Bearer TOKEN
  peerkeeper run --once peersync --json      # one look, for cron; exit 0 if it completed, 1 if it could not`
}

// Run watches a mesh until the context ends, or runs one function.
func (r *runVerb) Run(ctx context.Context, t *terminal) error {
	if r.Once != "" {
		if _, ok := run.Find(string(r.Once)); !ok {
			return usagef("there is no function %s: %s", r.Once, suggest(string(r.Once), functions()))
		}
	}
	if r.Syslog != "" {
		if r.Once != "" {
			return usagef("--syslog with --once: lines come at any time, and one run waits for none; leave one of them out")
		}
		if err := syslogd.Check(r.Syslog); err != nil {
			return usage{err}
		}
	}
	// Before a state file is begun.
	if r.Once == "" && r.Listen != noPage {
		if err := listener.Check(ctx, r.listens(t)); err != nil {
			return usage{err}
		}
	}
	w, err := r.open()
	if err != nil {
		return err
	}
	if err := r.checkRate(w); err != nil {
		return err
	}
	accounts, err := w.accounts(t, r.files, r.secrets, allSecrets(w.Mesh))
	if err != nil {
		return err
	}
	sinks, err := r.sinks(w, t)
	if err != nil {
		return err
	}
	h := w.host(t, accounts)
	h.Sinks = sinks
	h.Privilege = t.privilege
	if r.Once != "" {
		return r.runOnce(ctx, t, h)
	}
	pushed, err := r.syslog(t, w)
	if err != nil {
		return err
	}
	l, err := r.page(ctx, t, w)
	if err != nil {
		return err
	}
	return r.watch(ctx, t, w, h, l, pushed)
}

// page opens the page's address; nil if there is to be none.
func (r *runVerb) page(ctx context.Context, t *terminal, w *watched) (*listener.Listener, error) {
	if r.Listen == noPage {
		return nil, nil
	}
	at := r.listens(t)
	at.Keep = filesNeeded(w)
	if r.Syslog != "" {
		at.Keep += syslogd.Files
	}
	l, err := listener.Open(ctx, at)
	if err != nil {
		return nil, usagef("%w (or --listen off)", err)
	}
	for _, note := range l.Notes() {
		t.notef("peerkeeper: %s", note)
	}
	return l, nil
}

func (r *runVerb) listens(t *terminal) listener.Config {
	return listener.Config{
		Address: cmp.Or(r.Listen, pageAddress), Cert: r.TLSCert, Key: r.TLSKey, Token: r.TokenFile, Hosts: r.Host, Log: t.log,
	}
}

// filesNeeded is how many files watching a mesh may have open at once: of each
// node the connections of two functions and those kept for the next tick, of
// each DNS server its questions, and the rest of a process.
func filesNeeded(w *watched) int {
	n := 64
	for i := range w.Clusters {
		n += 6*len(w.Clusters[i].Nodes) + 8
	}
	return n
}

func functions() []string {
	var names []string
	for _, s := range run.Schedules() {
		names = append(names, s.Function)
	}
	return names
}

func (r *runVerb) checkRate(w *watched) error {
	switch {
	case r.Rate == 0:
		return nil
	case w.Clock == nil || !w.Simulated:
		return usagef("--rate %g: mesh %s is not simulated, and real clusters keep real time: leave --rate out", r.Rate, w.Name)
	case r.Rate != w.Clock.Rate:
		return usagef("--rate %g: the simulator of mesh %s runs at rate %g: leave --rate out, or start the simulator again with this rate", r.Rate, w.Name, w.Clock.Rate)
	}
	return nil
}

// sinks are where alarms go: the screen, and what policy.notify names.
func (r *runVerb) sinks(w *watched, t *terminal) ([]alarm.Sink, error) {
	var sinks []alarm.Sink
	switch {
	case t.json && r.Once != "":
		// Stdout is the one answer's.
		sinks = append(sinks, &alarm.Writer{W: t.stderr, Now: w.clock.Now})
	case t.json:
		sinks = append(sinks, &jsonAlarms{t})
	default:
		sinks = append(sinks, &alarm.Writer{W: t.stdout, Now: w.clock.Now})
	}
	notify := w.Policy.Notify
	if notify.File != "" {
		sinks = append(sinks, &alarm.Lines{Path: besides(r.Mesh, notify.File)})
	}
	if notify.Webhook != "" {
		hook, err := webhook.New(notify.Webhook, webhook.Options{})
		if err != nil {
			return nil, usagef("%s: policy.notify.webhook: %w", r.Mesh, err)
		}
		sinks = append(sinks, hook)
	}
	return sinks, nil
}

// jsonAlarms is the screen where answers are JSON: one line per alarm.
type jsonAlarms struct{ t *terminal }

// Name is that of the screen's other sink: either of them is the screen.
func (j *jsonAlarms) Name() string { return (*alarm.Writer)(nil).Name() }

// Send implements alarm.Sink.
func (j *jsonAlarms) Send(_ context.Context, n alarm.Notice) error { return j.t.line(n) }

func (r *runVerb) runOnce(ctx context.Context, t *terminal, h *host.Host) error {
	var answer run.Answer
	err := t.wait(ctx, fixed("%s over %d clusters", r.Once, len(h.Mesh.Clusters)), func(ctx context.Context) (err error) {
		answer, err = h.Handle(ctx, run.Request{Function: string(r.Once)})
		return err
	})
	if err != nil {
		return err
	}
	if t.json {
		err = t.answer(answer)
	} else {
		t.sayf("%s", inWords(answer))
	}
	if err == nil && answer.Skipped != "" {
		return fmt.Errorf("%s did not run: %s", r.Once, answer.Skipped)
	}
	return err
}

func (r *runVerb) watch(ctx context.Context, t *terminal, w *watched, h *host.Host, l *listener.Listener, pushed *pushes) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan error, 2)
	page := "no page"
	if pushed == nil {
		done <- nil
	} else {
		go func() {
			err := pushed.serve(ctx, w)
			if err != nil {
				stop(err)
			}
			done <- err
		}()
	}
	if l == nil {
		done <- nil
	} else {
		page = "page " + l.URL()
		served := &dashboard.Page{Source: w.source(), Now: w.clock.Now, Hosts: l.Hosts(), Log: t.log}
		if l.Guarded() {
			served.LogOut = listener.LogOut
		}
		go func() {
			err := l.Serve(ctx, served.Handler())
			if err != nil {
				stop(err) // without its page run is not what was asked for
			}
			done <- err
		}()
	}
	h.Ran = func(a run.Answer, err error) {
		switch {
		case ctx.Err() != nil:
		case err != nil:
			t.notef("%s %v", w.clock.Now().Format("15:04:05"), err)
		case t.json:
			if err := t.line(a); err != nil {
				stop(err)
			}
		default:
			t.sayf("%s %s", w.clock.Now().Format("15:04:05"), inWords(a))
		}
	}
	t.notef("watching mesh %s: %d clusters, %d directed peers; state %s, %s%s; mode %s", w.Name, len(w.Clusters), len(w.Peers), r.State, page, r.notified(w), modeText(w.Mesh))
	if pushed != nil {
		t.notef("syslog is taken at %s, over UDP and TCP", pushed.server.Addr())
	}
	if l != nil {
		t.notef("the page answers to %s", strings.Join(l.Hosts(), ", "))
	}
	err := h.Run(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	stop(nil)
	return errors.Join(ended(ctx, err), <-done, <-done)
}

func (r *runVerb) notified(w *watched) string {
	var to []string
	if f := w.Policy.Notify.File; f != "" {
		to = append(to, filepath.Clean(besides(r.Mesh, f)))
	}
	if w.Policy.Notify.Webhook != "" {
		to = append(to, "the webhook")
	}
	if len(to) == 0 {
		return ""
	}
	return "; alarms also to " + strings.Join(to, " and ")
}

// inWords is one run for people.
func inWords(a run.Answer) string {
	if a.Skipped != "" {
		return fmt.Sprintf("%s skipped: %s", a.Function, a.Skipped)
	}
	var parts []string
	add := func(n int, one, many string) {
		if n > 0 {
			parts = append(parts, plain.Count(n, one, many))
		}
	}
	add(a.Clusters.Observed, "observed", "observed")
	add(a.Clusters.Partial, "observed in part", "observed in part")
	add(a.Clusters.Unreachable, "not reached", "not reached")
	for _, s := range slices.Sorted(maps.Keys(a.Peers)) {
		add(a.Peers[s], string(s), string(s))
	}
	add(a.Proposals, "proposal", "proposals")
	add(a.Actions, "action", "actions")
	add(a.Notices, "notice sent", "notices sent")
	if len(parts) == 0 {
		parts = []string{"nothing is due"}
	}
	return fmt.Sprintf("%-9s %s (%d ms)", a.Function, strings.Join(parts, ", "), a.TookMs)
}

// modeText says what a mesh's policy allows, for the top of a long run.
func modeText(m *mesh.Mesh) string {
	if m.Policy.Mode != mesh.Recover {
		return "observe: never changes a cluster"
	}
	text := "recover: may start and restart services, through its gate"
	imports := slices.ContainsFunc(m.Clusters, func(c mesh.Cluster) bool { return c.PlatformWriteCredentials != "" })
	if how := m.Policy.ImportCertificates; imports && how != mesh.ImportManual {
		text += fmt.Sprintf(", and put certificates into trust stores (importCertificates: %s)", how)
	}
	return text
}
