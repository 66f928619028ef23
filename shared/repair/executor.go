package repair

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// executor is one kind of action on one target: how the target is looked at, how
// the action is sent, and what proves it. The gate's order of steps is the same
// for all.
type executor interface {
	// look reads the target for the guards and for the later proof.
	check(ctx context.Context, s *Situation) (Before, error)
	// again says why the action, already meant, must not be sent after all.
	recheck(ctx context.Context, in Intent) string
	// send is called at most once.
	send(ctx context.Context) error
	// readBack looks whether an intent came true. "" means that it cannot be
	// told yet.
	readBack(ctx context.Context, in Intent) (Outcome, string)
	// Refused says of an error of send that the node got the write and said no,
	// Uncertain that the write may have happened.
	Refused(err error) bool
	Uncertain(err error) bool
}

// executor opens the target of an action. source is of an import, and needed to send
// it only: reading back goes by what the intent remembers.
func (r *Repair) executor(ctx context.Context, a peer.Action, t peer.Target, value string, source *peer.CertSource) (executor, error) {
	if a == peer.ImportCertificate {
		if r.TrustStoreWriter == nil {
			return nil, fmt.Errorf("nothing here puts certificates into the stores of %s", t.Cluster)
		}
		k, err := r.TrustStoreWriter(ctx, t.Cluster)
		if err != nil {
			return nil, err
		}
		return &importing{TrustStoreWriter: k, r: r, target: t, source: source}, nil
	}
	hand, err := r.Open(ctx, t.Cluster)
	if err != nil {
		return nil, err
	}
	if a == peer.SetParameter {
		return parameter{hand, t, value}, nil
	}
	return service{hand, r, a, t}, nil
}

// service starts or restarts a service.
type service struct {
	ServiceController
	r      *Repair
	action peer.Action
	target peer.Target
}

func (d service) now(ctx context.Context) (peer.Service, error) {
	return d.Service(ctx, d.target.Node, d.target.Service)
}

func (d service) check(ctx context.Context, s *Situation) (Before, error) {
	now, err := d.now(ctx)
	if err != nil {
		return Before{}, err
	}
	s.Service = now
	return Before{Status: now.Status, Code: now.Code, UpTime: now.UpTime}, nil
}

func (d service) recheck(ctx context.Context, in Intent) string {
	now, err := d.now(ctx)
	if err != nil {
		return "the target could not be read again: " + err.Error()
	}
	p := peer.Proposal{Action: d.action, Target: d.target, MinAge: in.MinAge}
	if why := needless(p, Situation{Service: now}); why != "" {
		return why
	}
	if d.action != peer.RestartService {
		if now.Code == peer.CodeCommandedOut && in.Before.Code != peer.CodeCommandedOut {
			return "it has been commanded out of service in the meantime"
		}
		return ""
	}
	if why := tooYoung(p, now); why != "" {
		return why
	}
	if now.UpTime < in.Before.UpTime {
		return fmt.Sprintf("it has been restarted in the meantime (up-time %v)", now.UpTime)
	}
	return ""
}

func (d service) send(ctx context.Context) error {
	return d.Control(ctx, d.target.Node, d.action, d.target.Service)
}

func (d service) readBack(ctx context.Context, in Intent) (Outcome, string) {
	now, err := d.now(ctx)
	if err != nil {
		return "", "not read back: " + err.Error()
	}
	return d.r.prove(in, now)
}

// parameter sets a service parameter.
type parameter struct {
	ServiceController
	target peer.Target
	value  string
}

func (d parameter) now(ctx context.Context) (string, int, error) {
	return d.Parameter(ctx, d.target.Node, d.target.Service, d.target.Parameter)
}

func (d parameter) check(ctx context.Context, _ *Situation) (Before, error) {
	value, matches, err := d.now(ctx)
	switch {
	case err != nil:
		return Before{}, err
	case matches != 1:
		return Before{}, fmt.Errorf("%d parameters match: nothing is set unless exactly one does", matches)
	}
	return Before{Value: value}, nil
}

func (d parameter) recheck(ctx context.Context, in Intent) string {
	value, matches, err := d.now(ctx)
	switch {
	case err != nil:
		return "the target could not be read again: " + err.Error()
	case matches != 1 || value != in.Before.Value:
		return fmt.Sprintf("it now reads %q (%d parameters match)", value, matches)
	}
	return ""
}

func (d parameter) send(ctx context.Context) error {
	return d.SetParameter(ctx, d.target.Node, d.target.Service, d.target.Parameter, d.value)
}

func (d parameter) readBack(ctx context.Context, in Intent) (Outcome, string) {
	value, matches, err := d.now(ctx)
	switch {
	case err != nil:
		return "", "not read back: " + err.Error()
	case matches != 1:
		return "", fmt.Sprintf("not read back: %d parameters match", matches)
	case value == in.Value:
		return DoneProven, fmt.Sprintf("it reads %q", value)
	}
	return NotDone, fmt.Sprintf("it reads %q, not %q", value, in.Value)
}

// importing puts a certificate, or the CA chain above one, into a trust store.
// What it imports it has itself read from the source, moments ago.
type importing struct {
	TrustStoreWriter
	r      *Repair
	target peer.Target
	source *peer.CertSource
	certs  []*x509.Certificate
}

func (d *importing) check(ctx context.Context, s *Situation) (Before, error) {
	certs, err := d.r.Source(ctx, *d.source)
	if err != nil {
		return Before{}, fmt.Errorf("reading %s of %s: %w", d.source.Service, d.source.Node, err)
	}
	if err := unfit(*d.source, certs, s); err != nil {
		return Before{}, err
	}
	before := Before{}
	for _, c := range certs {
		before.Certificates = append(before.Certificates, certificate.Fingerprint(c))
	}
	lacks, err := d.Lacks(ctx, d.target.Node, d.target.Service, before.Certificates)
	if err != nil {
		return Before{}, err
	}
	for _, c := range certs {
		if slices.Contains(lacks, certificate.Fingerprint(c)) {
			d.certs = append(d.certs, c)
		}
	}
	s.Present = len(lacks) == 0
	return before, nil
}

func (d *importing) recheck(ctx context.Context, in Intent) string {
	lacks, err := d.Lacks(ctx, d.target.Node, d.target.Service, in.Before.Certificates)
	switch {
	case err != nil:
		return "the store could not be read again: " + err.Error()
	case len(lacks) == 0:
		return "it is there by now"
	}
	return ""
}

func (d *importing) send(ctx context.Context) error {
	return d.Add(ctx, d.target.Node, d.target.Service, d.certs, fmt.Sprintf("Peerkeeper: %s of %s", d.source.Service, d.source.Node))
}

func (d *importing) readBack(ctx context.Context, in Intent) (Outcome, string) {
	if len(in.Before.Certificates) == 0 {
		return Unproven, "what was to be imported is not known any more"
	}
	lacks, err := d.Lacks(ctx, d.target.Node, d.target.Service, in.Before.Certificates)
	switch {
	case err != nil:
		return "", "not read back: " + err.Error()
	case len(lacks) == 0:
		return DoneProven, fmt.Sprintf("%s of %s holds %s; it reaches the other nodes within an hour", d.target.Service, d.target.Node, plain.List(in.Before.Certificates))
	}
	return NotDone, fmt.Sprintf("%s of %s lacks %s", d.target.Service, d.target.Node, plain.List(lacks))
}

// Unfit says why what was read is not imported, in words for people that stay the
// same while it does.
type Unfit struct{ Why string }

func (e *Unfit) Error() string { return e.Why }

// unfit says why certificates are not what an import is about, whoever read
// them: of a self-signed one itself and nothing else, of a CA-signed one its
// whole chain of CAs, from the one that it names as its issuer, each in its time
// and signed by the next, and never itself. The error is an *Unfit.
func unfit(source peer.CertSource, certs []*x509.Certificate, s *Situation) error {
	no := func(format string, args ...any) error { return &Unfit{fmt.Sprintf(format, args...)} }
	checked := func(c *x509.Certificate) error {
		if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
			return no("%s does not verify by its own key: %v", c.Subject, err)
		}
		return nil
	}
	what := fmt.Sprintf("%s of %s", source.Service, source.Node)
	if len(certs) == 0 {
		return no("nothing of %s was read", what)
	}
	for _, c := range certs {
		if s.Now.Before(c.NotBefore) || s.Now.After(c.NotAfter) {
			return no("%s is not valid now (%s to %s)", c.Subject, c.NotBefore.UTC().Format("2006-01-02"), c.NotAfter.UTC().Format("2006-01-02"))
		}
	}
	if source.Issuer == "" {
		switch c := certs[0]; {
		case len(certs) != 1:
			return no("%d certificates were read where %s alone was asked for", len(certs), what)
		case certificate.Fingerprint(c) != source.Fingerprint:
			return no("%s is %s by now, and not %s any more", what, certificate.Fingerprint(c), source.Fingerprint)
		case !chain.SelfSigned(c):
			return no("%s is signed by a CA: its chain is imported, never itself", what)
		default:
			return checked(c)
		}
	}
	for i, c := range certs {
		switch {
		case certificate.Fingerprint(c) == source.Fingerprint:
			return no("%s is signed by a CA: its chain is imported, never itself", what)
		case !c.IsCA:
			return no("%s, above %s, is no CA", c.Subject, what)
		case i < len(certs)-1 && c.CheckSignatureFrom(certs[i+1]) != nil:
			return no("%s, above %s, is not signed by the next, %s", c.Subject, what, certs[i+1].Subject)
		}
	}
	if above := certs[0].Subject.String(); above != source.Issuer {
		return no("%s was issued by %s, and not by %s", what, source.Issuer, above)
	}
	root := certs[len(certs)-1]
	if !chain.SelfSigned(root) {
		return no("the chain above %s ends at %s, which %s signed: a node refuses a chain that is not complete", what, root.Subject, root.Issuer)
	}
	return checked(root)
}
