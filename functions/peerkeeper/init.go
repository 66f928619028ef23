package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"peerkeeper/shared/discovery"
	"peerkeeper/shared/dnsname"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/pemfile"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/secret/file"
)

type initVerb struct {
	Publisher   string   `required:"" help:"The IM and Presence publisher of any one cluster." placeholder:"HOST[:PORT]"`
	Credentials []string `required:"" help:"The entry of the secrets file to log in with, on every host; HOST=NAME for one host only." placeholder:"NAME"`
	CA          string   `name:"ca" type:"existingfile" help:"A PEM file that vouches for the hosts' certificates." placeholder:"FILE"`
	Accept      []string `help:"A certificate's SHA-256 fingerprint that you have compared with the host's own." placeholder:"SHA256"`
	DNS         []string `name:"dns" help:"A DNS server to ask for names; this machine's own resolver if none is named." placeholder:"ADDR"`
	Out         string   `help:"The new file." default:"mesh.yaml" placeholder:"FILE"`
	secrets
}

// Help is what peerkeeper init --help teaches.
func (initVerb) Help() string {
	return `Writes a mesh.yaml from one publisher: it asks that cluster for its nodes and its peers, and those for theirs, and only reads. Nothing is sent to a host before its certificate is vouched for: by --ca, by --accept, or by you, who is shown its fingerprint and asked. Each host is logged in to once, and the first rejection of an account ends its use.
Nothing is written over. What could not be found out stands as a comment in the file and on stderr (exit 1); entries that the secrets file lacks go to secrets.new.json beside it.

Examples:

  peerkeeper init --publisher imp-emea-pub.example.com --credentials emea/read --ca ca.pem
  peerkeeper init --publisher imp-emea-pub.example.com --credentials all/read --credentials imp-apac-pub.example.com=apac/read --dns 192.0.2.53`
}

// newSecrets is where entries go that the secrets file lacks.
const newSecrets = "secrets.new.json"

// Run writes a mesh.yaml.
func (v *initVerb) Run(ctx context.Context, t *terminal) error {
	s, names, err := v.search(t)
	if err != nil {
		return err
	}
	entries := filepath.Join(filepath.Dir(v.Out), newSecrets)
	for _, path := range []string{v.Out, entries} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return usagef("%s exists already and is not written over: name another file with --out, or move it away", path)
		}
	}
	var doing atomic.Value
	doing.Store("looking")
	s.Doing = func(text string) { doing.Store(text) }
	var found discovery.Found
	err = t.wait(ctx, func() string { return doing.Load().(string) }, func(ctx context.Context) (err error) {
		found, err = s.Find(ctx)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			err = usagef("nothing was written: %w", err)
		}
		return err
	}
	text := found.YAML(discovery.File{From: v.Publisher, At: time.Now(), CA: v.relativeCA(), DNS: v.DNS})
	if _, err := meshfile.Parse(v.Out, text, v.reads); err != nil {
		return usagef("nothing was written, for what was found makes no mesh: %w", err)
	}
	missing := found.Secrets(names)
	if missing != nil {
		if err := writeNew(entries, missing, 0o600); err != nil {
			return usage{err}
		}
	}
	if err := writeNew(v.Out, text, 0o644); err != nil {
		return usage{err}
	}
	return v.tell(t, found, missing, entries)
}

// search is what the flags ask for, with all that is wrong with them at once, and
// the names of the entries that the secrets file has.
func (v *initVerb) search(t *terminal) (discovery.Search, []string, error) {
	s := discovery.Search{Publisher: v.Publisher, Accounts: map[mesh.NodeName]string{}, Log: t.log}
	var wrong []error
	fault := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if _, _, ok := dnsname.HostPort(v.Publisher); !ok {
		fault("--publisher %q is no host: write it as in imp-emea-pub.example.com, or with :8443", v.Publisher)
	}
	for _, c := range v.Credentials {
		of, name, one := strings.Cut(c, "=")
		switch {
		case one && (of == "" || name == ""):
			fault("--credentials %q: write HOST=NAME, or NAME alone for every host", c)
		case one:
			s.Accounts[mesh.NodeName(of)] = name
		case s.Account != "":
			fault("--credentials names %s and %s for every host: one account is tried on a host, never several", s.Account, c)
		default:
			s.Account = c
		}
	}
	for _, f := range v.Accept {
		print, err := mesh.ParseFingerprint(f)
		if err != nil {
			fault("--accept: %w", err)
		}
		s.Accept = append(s.Accept, print)
	}
	for i, d := range v.DNS {
		at := d
		if addr, err := netip.ParseAddr(d); err == nil {
			at = netip.AddrPortFrom(addr, 53).String()
		} else if _, err := netip.ParseAddrPort(d); err != nil {
			fault("--dns %q is no address of a server: write it as in 192.0.2.53, or 192.0.2.53:53", d)
		}
		v.DNS[i] = at
	}
	if len(v.DNS) > 0 {
		s.Resolve = discovery.ByDNS(v.DNS)
	}
	if v.CA != "" {
		text, err := os.ReadFile(v.CA)
		switch {
		case err != nil:
			fault("--ca cannot be read: %w", err)
		case len(pemfile.Certificates(text)) == 0:
			fault("--ca %s holds no certificate in PEM that can be read", v.CA)
		}
		s.CA = text
	}
	salt := make([]byte, 32) // versions of secrets are compared within this run only
	_, _ = rand.Read(salt)
	source := &file.Source{Path: v.Secrets, Salt: salt, Unsafe: v.Unsafe}
	names, err := source.Names()
	if err != nil {
		fault("%w; it needs an entry for each name in --credentials, as in {%q: {\"username\": …, \"password\": …}}", err, v.Credentials[0])
	}
	if warning, err := source.Warning(); err == nil && warning != "" && !v.Unsafe {
		fault("%s (or --secrets-unsafe, if they may)", warning)
	}
	s.Secrets = source
	if t.asks {
		s.Confirm = func(ctx context.Context, s discovery.Server) (bool, error) { return confirm(ctx, t, s) }
	}
	if err := errors.Join(wrong...); err != nil {
		return s, nil, usage{err}
	}
	return s, names, nil
}

// confirm shows a certificate as openssl does, and asks whether it is the host's.
func confirm(ctx context.Context, t *terminal, s discovery.Server) (bool, error) {
	t.screen.Lock()
	defer t.screen.Unlock()
	t.notef("")
	t.notef("%s (%s) serves this certificate, and nothing vouches for it (%s):", s.Name, s.Address, s.Why)
	t.notef("  subject=%s", s.Leaf.Subject)
	t.notef("  issuer=%s", s.Leaf.Issuer)
	t.notef("  notAfter=%s", plain.Time(s.Leaf.NotAfter))
	t.notef("  sha256 Fingerprint=%s", asOpenSSL(s.Fingerprint))
	t.notef("Compare it on the node: show cert own tomcat. Nothing has been sent to it yet.")
	return t.confirm(ctx, "Is this the certificate of "+string(s.Name)+"?")
}

// asOpenSSL writes "sha256:0a1b…" as 0A:1B:….
func asOpenSSL(print string) string {
	digits := strings.ToUpper(strings.TrimPrefix(print, "sha256:"))
	var pairs []string
	for i := 0; i+2 <= len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":")
}

// relativeCA is the CA file as mesh.yaml names it: relative to itself if it can be.
func (v *initVerb) relativeCA() string {
	if v.CA == "" {
		return ""
	}
	from, err1 := filepath.Abs(filepath.Dir(v.Out))
	to, err2 := filepath.Abs(v.CA)
	if rel, err := filepath.Rel(from, to); err == nil && err1 == nil && err2 == nil {
		return rel
	}
	return v.CA
}

// reads gives the files that the new mesh.yaml names, as it will be read.
func (v *initVerb) reads(name string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(v.Out), name)
	}
	return os.ReadFile(name)
}

// writeNew writes a whole file or none, and none over another.
func writeNew(path string, text []byte, mode fs.FileMode) (err error) {
	next, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w; name a file in a folder that this user may write", path, err)
	}
	defer func() { err = errors.Join(err, os.Remove(next.Name())) }()
	_, err = next.Write(text)
	if err = errors.Join(err, next.Chmod(mode), next.Sync(), next.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Link(next.Name(), path); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is not written over: name another file with --out", path)
	} else if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (v *initVerb) tell(t *terminal, found discovery.Found, missing []byte, entries string) error {
	gaps := found.Gaps()
	next := []string{
		fmt.Sprintf("peerkeeper probe --mesh %s --secrets %s", v.Out, v.Secrets),
		fmt.Sprintf("peerkeeper preflight --now --mesh %s --secrets %s", v.Out, v.Secrets),
		fmt.Sprintf("peerkeeper run --mesh %s --secrets %s", v.Out, v.Secrets),
	}
	if t.json {
		ids := []mesh.ClusterID{}
		for _, c := range found.Clusters {
			ids = append(ids, c.ID)
		}
		answer := map[string]any{"written": v.Out, "clusters": ids, "gaps": append([]string{}, gaps...), "next": next}
		if missing != nil {
			answer["secrets"] = entries
		}
		if err := t.answer(answer); err != nil {
			return err
		}
	} else {
		for _, c := range found.Clusters {
			t.sayf("%-12s %s, %s", c.ID, c.Inventory.Publisher, plain.Count(len(c.Nodes), "node", "nodes"))
		}
		t.sayf("")
		t.sayf("%s written: %s. Read it, then:", v.Out, plain.Count(len(found.Clusters), "cluster", "clusters"))
		for _, command := range next {
			t.sayf("  %s", command)
		}
	}
	if missing != nil {
		t.notef("%s has the entries that %s lacks: fill them in and move them there", entries, v.Secrets)
	}
	for _, g := range gaps {
		t.notef("not found out: %s", g)
	}
	if len(gaps) > 0 {
		return problem{}
	}
	return nil
}
