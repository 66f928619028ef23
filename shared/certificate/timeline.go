package certificate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// Timeline is what will break one directed peer and when, and in which order
// its certificates are renewed and exchanged so that it never drops.
type Timeline struct {
	Peer mesh.PeerID `json:"peer"`
	// Events are in the order of time.
	Events []Event `json:"events"`
	// Plans are one per certificate that will have to be renewed, soonest first.
	Plans []RenewalPlan `json:"plans"`
	// Unread is what the timeline cannot speak of, and why.
	Unread []string `json:"unread,omitempty"`
}

// Event is an instant at which something ends or begins.
type Event struct {
	At   time.Time     `json:"at"`
	Node mesh.NodeName `json:"node,omitempty"`
	What string        `json:"what"`
	// Breaks says that this very peer stops then; what ends on a node by which
	// nobody pulls is a nuisance only.
	Breaks  bool   `json:"breaks"`
	Service string `json:"service"`
	KeyType string `json:"keyType"`
}

// RenewalPlan is the renewal of one certificate.
type RenewalPlan struct {
	Node        mesh.NodeName `json:"node"`
	Service     string        `json:"service"`
	KeyType     string        `json:"keyType"`
	Fingerprint string        `json:"fingerprint"`
	Subject     string        `json:"subject"`
	NotAfter    time.Time     `json:"notAfter"`
	// Nodes serve the same certificate (multi-server), Node included.
	Nodes []mesh.NodeName `json:"nodes"`
	Start time.Time       `json:"start"` // the largest threshold before the end
	Trust time.Time       `json:"trust"` // by then the new one is trusted everywhere and pinned here
	Serve time.Time       `json:"serve"` // by then it is served: the smallest threshold
	Steps []RenewalStep   `json:"steps"`
}

// Phase says what a step is for.
type Phase string

// The phases, in the only order that drops nobody: what is served must be
// trusted and pinned before.
const (
	PhaseMake   Phase = "make"
	PhaseTrust  Phase = "trust"
	PhasePin    Phase = "pin"
	PhaseCheck  Phase = "check"
	PhaseServe  Phase = "serve"
	PhaseVerify Phase = "verify"
)

// RenewalStep is one thing for a person to do.
type RenewalStep struct {
	Phase   Phase          `json:"phase"`
	By      time.Time      `json:"by"`
	Cluster mesh.ClusterID `json:"cluster,omitempty"`
	On      string         `json:"on,omitempty"` // node, or "Peerkeeper"
	Menu    string         `json:"menu,omitempty"`
	Do      string         `json:"do"`
	// Done says that certcheck has seen it done already.
	Done bool `json:"done,omitempty"`
}

// Timeline derives a peer's timeline from what certcheck stored.
func (v *View) Timeline(id mesh.PeerID) Timeline {
	m, certs, now := v.Mesh, v.Records, v.Now
	t := Timeline{Peer: id, Events: []Event{}, Plans: []RenewalPlan{}}
	to, ok := m.Cluster(id.To)
	if !ok {
		return t
	}
	matrix := v.Trust()
	rows := matrix.Of(id.To)
	planned := map[string]int{}
	readPub := false
	for _, r := range rows {
		if r.Disputed {
			t.Unread = append(t.Unread, fmt.Sprintf("what %s serves to Peerkeeper is not the %s certificate that its certificate management names, which is the one shown here", r.Node, r.Service))
		}
		cell := matrix.Cell(r, id.From)
		if cell.Verdict == "" || r.Pending {
			continue
		}
		breaks := r.Node == to.Publisher || r.Store != peer.TomcatTrust
		readPub = readPub || r.Node == to.Publisher && r.Store == peer.TomcatTrust
		t.Events = append(t.Events, Event{At: r.NotAfter, Node: r.Node, Service: r.Service, KeyType: r.KeyType, Breaks: breaks,
			What: fmt.Sprintf("the %s certificate of %s ends", r.Service, r.Node)})
		if s := certs[id.To].Served[r.Node][Place{KeyType: r.KeyType}]; r.Store == peer.TomcatTrust && s.Fingerprint == r.Fingerprint {
			if at, by := s.Ends(); by != "" {
				t.Events = append(t.Events, Event{At: at, Node: r.Node, Service: r.Service, KeyType: r.KeyType, Breaks: breaks,
					What: fmt.Sprintf("the CA %s ends, which the %s certificate of %s needs", CommonName(by), r.Service, r.Node)})
			}
		}
		if cell.Verdict == CATrusted && cell.Ends.Before(r.NotAfter) {
			t.Events = append(t.Events, Event{At: cell.Ends, Node: r.Node, Service: r.Service, KeyType: r.KeyType, Breaks: breaks,
				What: fmt.Sprintf("the CA %s ends, by which %s trusts %s of %s", cell.Entry, id.From, r.Service, r.Node)})
		}
		if now.Before(r.NotBefore) {
			t.Events = append(t.Events, Event{At: r.NotBefore, Node: r.Node, Service: r.Service, KeyType: r.KeyType,
				What: fmt.Sprintf("the %s certificate of %s becomes valid", r.Service, r.Node)})
		}
		key := r.Fingerprint + r.Service
		if i, had := planned[key]; had {
			t.Plans[i].Nodes = append(t.Plans[i].Nodes, r.Node)
			continue
		}
		planned[key] = len(t.Plans)
		t.Plans = append(t.Plans, RenewalPlan{Node: r.Node, Service: r.Service, KeyType: r.KeyType, Fingerprint: r.Fingerprint, Subject: r.Subject, NotAfter: r.NotAfter, Nodes: []mesh.NodeName{r.Node}})
	}
	if !readPub {
		t.Unread = append(t.Unread, fmt.Sprintf("no certificate of %s has been read", to.Publisher))
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return matrix.Cell(r, id.From).Verdict == Unknown }) {
		t.Unread = append(t.Unread, fmt.Sprintf("%s's trust store is not read, so which steps are done already is not known", id.From))
	}
	for i := range t.Plans {
		t.Plans[i].steps(v, id.To)
	}
	slices.SortStableFunc(t.Events, func(a, b Event) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.What, b.What))
	})
	slices.SortStableFunc(t.Plans, func(a, b RenewalPlan) int { return a.NotAfter.Compare(b.NotAfter) })
	return t
}

// Breaks is the first event that stops the peer, and whether there is one.
func (t Timeline) Breaks() (Event, bool) {
	i := slices.IndexFunc(t.Events, func(e Event) bool { return e.Breaks })
	if i < 0 {
		return Event{}, false
	}
	return t.Events[i], true
}

// steps writes the plan down. A certificate is renewed once, for every cluster
// that pulls from its own, so all of them are named.
func (p *RenewalPlan) steps(v *View, id mesh.ClusterID) {
	m, matrix, certs := v.Mesh, v.Trust(), v.Records
	days := m.Policy.Thresholds.CertificateDays
	before := func(n int) time.Time { return p.NotAfter.AddDate(0, 0, -n) }
	p.Start, p.Trust, p.Serve = before(days[0]), before(days[(len(days)-1)/2]), before(days[len(days)-1])
	var present Row
	var next *Row // the new certificate, installed and not served
	for i, r := range matrix.Rows {
		switch {
		case r.Node != p.Node || r.Service != p.Service:
		case r.Pending:
			next = &matrix.Rows[i]
		default:
			present = r
		}
	}
	made, issuer := next != nil, present.Issuer
	if made {
		issuer = next.Issuer
	}
	store := StoreOf(p.Service)
	add := func(phase Phase, by time.Time, cluster mesh.ClusterID, on, menu, do string, done bool) {
		p.Steps = append(p.Steps, RenewalStep{phase, by, cluster, on, menu, do, done})
	}
	restart := servedBy(p.Service)
	c, _ := m.Cluster(id)
	if before12(c.Release) && store == peer.TomcatTrust {
		add(PhaseMake, p.Start, id, string(p.Node), "", "release before 12.0: stop Platform Administrative Web Service and Cisco Intercluster Sync Agent first (TAC-214231)", made)
	}
	if issuer == "" {
		add(PhaseMake, p.Start, id, string(p.Node), procedure.CertificateManagement, fmt.Sprintf("Generate Self-signed, Certificate Purpose %s. Do not restart %s yet: until then the old certificate is served, and nobody drops", p.Service, restart), made)
		add(PhaseMake, p.Start, id, string(p.Node), procedure.CertificateManagement, fmt.Sprintf("open %s, Download .PEM File: the new one", p.Service), made)
	} else {
		multi := ""
		if len(p.Nodes) > 1 {
			multi = ", Distribution Multi-server (SAN)"
		}
		add(PhaseMake, p.Start, id, string(p.Node), procedure.CertificateManagement, fmt.Sprintf("Generate CSR, Certificate Purpose %s%s, and have %s sign it", p.Service, multi, CommonName(issuer)), made)
		add(PhaseMake, p.Start, id, string(p.Node), procedure.CertificateManagement, fmt.Sprintf("Upload Certificate/Certificate chain, %s: the CA certificates above the new one", store), made)
	}
	p.exchange(v, present, next, issuer, store, id)
	covered := true
	for _, n := range p.Nodes {
		covered = covered && certs[id].Served[n][Place{KeyType: p.KeyType}].CA
	}
	if store == peer.TomcatTrust {
		if covered && issuer != "" {
			add(PhasePin, p.Trust, "", "Peerkeeper", "", fmt.Sprintf("nothing to pin as long as %s signs again: tls.ca of %s vouches for it", CommonName(issuer), id), true)
		} else {
			for _, n := range p.Nodes {
				print := "SHA256"
				if made {
					print = next.Fingerprint
				}
				done := made && (certs[id].Identity[n][p.Service].Pinned || certs[id].Identity[n][p.Service].CA)
				add(PhasePin, p.Trust, "", "Peerkeeper", "", fmt.Sprintf("peerkeeper trust accept %s %s (the new certificate's fingerprint; the present pin stays)", n, print), done)
			}
		}
	}
	add(PhaseCheck, p.Trust, "", "Peerkeeper", "", "peerkeeper check certs --now --trust: every cell of the new certificate must read trusted (trust stores take up to 60 minutes to reach every node)", false)
	if issuer != "" {
		add(PhaseServe, p.Serve, id, string(p.Node), procedure.CertificateManagement, fmt.Sprintf("Upload Certificate/Certificate chain, %s: the signed certificate", p.Service), made)
	}
	for _, n := range p.Nodes {
		serve := procedure.RestartTomcat(n)
		if restart != "Cisco Tomcat" {
			serve = procedure.RestartService(n, restart)
		}
		serve = serve.Then("From now on the new one is served.")
		add(PhaseServe, p.Serve, id, serve.On, serve.Menu, serve.Do, false)
	}
	for _, puller := range pullers(m, id) {
		verify := procedure.CheckCertificates(puller.Publisher, c.Publisher)
		again := procedure.ResyncCertificates(puller.Publisher, c.Publisher)
		verify = verify.Then("If not: " + again.Do + " If still not, restart Cisco Intercluster Sync Agent and repeat.")
		add(PhaseVerify, p.Serve, puller.ID, verify.On, verify.Menu, verify.Do, false)
	}
}

// exchange are the steps by which every peer learns the new certificate.
func (p *RenewalPlan) exchange(v *View, present Row, next *Row, issuer, store string, id mesh.ClusterID) {
	m, matrix := v.Mesh, v.Trust()
	what := "the new " + p.Service + ".pem of " + string(p.Node)
	if issuer != "" {
		what = "the CA certificates of " + CommonName(issuer) + ", never the leaf"
	}
	var uploaded []*mesh.Cluster
	for _, puller := range pullers(m, id) {
		if pr, _ := m.Peer(mesh.PeerID{From: puller.ID, To: id}); store != peer.TomcatTrust && pr.Protocol != mesh.TLSProto {
			continue
		}
		done := false
		switch {
		case next != nil:
			verdict := matrix.Cell(*next, puller.ID).Verdict
			done = verdict == Trusted || verdict == CATrusted
		case issuer != "":
			// The same CA again: what vouches for the present one will do.
			cell := matrix.Cell(present, puller.ID)
			done = cell.Verdict == CATrusted && cell.Ends.After(p.NotAfter)
		}
		upload := procedure.UploadCertificate(puller.Publisher, store, what)
		if next != nil && !done && importable(m.Policy, puller, store) {
			upload = upload.Then("Or let Peerkeeper do it (`peerkeeper plan`, then `peerkeeper approve ID`) once the new one is accepted here.")
		}
		p.Steps = append(p.Steps, RenewalStep{PhaseTrust, p.Trust, puller.ID, upload.On, upload.Menu, upload.Do, done})
		if !done {
			uploaded = append(uploaded, puller)
		}
	}
	if store != peer.TomcatTrust {
		return
	}
	for _, puller := range uploaded {
		restart := procedure.RestartService(puller.Publisher, peer.ICSA).Then("One cluster at a time: it reads its trust store when it starts.")
		p.Steps = append(p.Steps, RenewalStep{PhaseTrust, p.Trust, puller.ID, restart.On, restart.Menu, restart.Do, false})
	}
}

// importable reports whether Peerkeeper may put certificates into a store of a
// cluster.
func importable(p mesh.Policy, c *mesh.Cluster, store string) bool {
	return store == peer.TomcatTrust && p.Mode == mesh.Recover && c.PlatformWriteCredentials != "" && (p.ImportCertificates == mesh.ImportApprove || p.ImportCertificates == mesh.ImportAuto)
}

// pullers are the clusters that pull from one, in the order of mesh.yaml.
func pullers(m *mesh.Mesh, id mesh.ClusterID) []*mesh.Cluster {
	var out []*mesh.Cluster
	for i := range m.Clusters {
		if _, ok := m.Peer(mesh.PeerID{From: m.Clusters[i].ID, To: id}); ok {
			out = append(out, &m.Clusters[i])
		}
	}
	return out
}

func before12(release string) bool {
	major, known := Major(release)
	return known && major < 12
}

// Major is the first number of a release, such as 14 of "14.0.1SU3".
func Major(release string) (int, bool) {
	n, err := strconv.Atoi(release[:len(release)-len(strings.TrimLeft(release, "0123456789"))])
	return n, err == nil
}
