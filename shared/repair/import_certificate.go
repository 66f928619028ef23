package repair

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/record"
)

// importCertificate puts a certificate, or the CA chain above one, into a trust
// store. It removes nothing.
func importCertificate() kind {
	return kind{
		action: peer.ImportCertificate,
		on:     []string{peer.TomcatTrust},
		summary: func(p peer.Proposal) string {
			return fmt.Sprintf("put %s into %s on %s", p.Target.Parameter, p.Target.Service, p.Target.Node)
		},
		byHand: importByHand,
		guards: []guard{
			{repairs, "import", "policy.importCertificates is manual; a CA, what is not served yet, or what one source alone tells, without approval; not the certificate that was proposed", mayImport},
			{repairs, "importLimit", "the imports that policy.limits.importsPerMeshPerHour (30 unless set, at most 100) allows are used up", func(g *Gate, _ peer.Proposal, s Situation) *record.Refusal {
				limit := s.Mesh.Policy.Limits.ImportsPerMeshPerHour
				if n := imports(g, s.Now); n >= limit {
					return stop("%d certificates were imported in the mesh within the hour, the limit is %d", n, limit)
				}
				return nil
			}},
		},
		facts: func(p peer.Proposal, s Situation) string {
			return stillProposed(p, s, "what is known of the certificates")
		},
		needless: func(p peer.Proposal, s Situation) string {
			if s.Present {
				return fmt.Sprintf("%s: it is there already", p.Target)
			}
			return ""
		},
		// Certificates are renewed by the mesh, and each that is missing is proven by
		// the store itself.
		mends:    peer.CertificateTrusted,
		frequent: true,
		proof:    "the store, which holds it",
		open: func(ctx context.Context, r *Repair, p peer.Proposal) (executor, error) {
			if r.TrustStoreWriter == nil {
				return nil, fmt.Errorf("nothing here puts certificates into the stores of %s", p.Target.Cluster)
			}
			writer, err := r.TrustStoreWriter(ctx, p.Target.Cluster)
			if err != nil {
				return nil, err
			}
			return &importing{TrustStoreWriter: writer, r: r, target: p.Target, source: p.Source}, nil
		},
	}
}

// mayImport stops what may not be imported whatever it is needed for. The
// judgement asks a person where it should; the gate makes sure.
func mayImport(_ *Gate, p peer.Proposal, s Situation) *record.Refusal {
	switch policy := s.Mesh.Policy.ImportCertificates; {
	case policy != mesh.ImportApprove && policy != mesh.ImportAuto:
		return stop("policy.importCertificates is manual: people copy certificates")
	case p.Source == nil || p.Source.Fingerprint == "" || p.Source.Fingerprint != p.Value:
		return stop("it does not say which certificate, and of which node")
	case p.Approval == "" && len(p.Source.Proofs) == 1:
		return stop("one source alone tells that the certificate is the node's own: it is imported with approval only")
	case p.Approval == "" && (policy != mesh.ImportAuto || p.Source.Issuer != "" || p.Source.Pending):
		return stop("a CA, and a certificate that is not served yet, are imported with approval only")
	}
	return nil
}

// imports counts those of the last hour, whatever came of them, and those under
// way.
func imports(g *Gate, now time.Time) int {
	n := 0
	for _, c := range g.Closed {
		if c.Action == peer.ImportCertificate && c.Outcome != NotSent && g.counts(mark("closed", c.Seq), c.Meant, now, time.Hour) {
			n++
		}
	}
	for _, o := range g.Open {
		if o.Action == peer.ImportCertificate {
			n++
		}
	}
	return n
}

func importByHand(p peer.Proposal) string {
	var from mesh.NodeName
	if p.Source != nil {
		from = p.Source.Node
	}
	return fmt.Sprintf("%s; if it does not: %s (`peerkeeper check certs --trust` names the file); then %s", procedure.ResyncCertificates(p.Target.Node, from).Line(),
		procedure.UploadCertificate(p.Target.Node, p.Target.Service, p.Target.Parameter).Line(), procedure.RestartService(p.Target.Node, peer.ICSA).Line())
}

// importing is one trust store, and what goes into it: what was itself read from
// the source, moments ago.
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
		before.Certificates = append(before.Certificates, chain.Fingerprint(c))
	}
	lacks, err := d.Lacks(ctx, d.target.Node, d.target.Service, before.Certificates)
	if err != nil {
		return Before{}, err
	}
	for _, c := range certs {
		if slices.Contains(lacks, chain.Fingerprint(c)) {
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

// unfit says why certificates are not what an import is about, no matter who read
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
		case chain.Fingerprint(c) != source.Fingerprint:
			return no("%s is %s by now, and not %s any more", what, chain.Fingerprint(c), source.Fingerprint)
		case !chain.SelfSigned(c):
			return no("%s is signed by a CA: its chain is imported, never itself", what)
		default:
			return checked(c)
		}
	}
	for i, c := range certs {
		switch {
		case chain.Fingerprint(c) == source.Fingerprint:
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
