// Package record is a mesh's stored items with their types: who keeps what
// under which key, and in which schema.
//
// It reads everything that a function judges from in one load, and writes only
// what changed. It never judges. An item of a newer schema is readable, and is
// never written over.
package record

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// Schemas in force. A change of meaning raises the number; a reader accepts
// the one before.
const (
	ClusterSchema = 1
	BucketsSchema = 1
	LogSchema     = 1
	SyncSchema    = 1
	CertSchema    = 1
	StateSchema   = 1
	RunSchema     = store.RunSchema
	PinSchema     = 1
)

// Pin is a PIN#node item: a certificate that a person accepted at run time.
type Pin struct {
	Node   mesh.NodeName `json:"node"`
	SHA256 []string      `json:"sha256"` // "sha256:…"
	Actor  string        `json:"actor"`
	At     time.Time     `json:"at"`
}

// Snapshot is everything stored of a mesh, by what it is about. Documents that do
// not exist yet are there with their key and a zero value, unless it is to be shown
// (Show).
type Snapshot struct {
	Clusters map[mesh.ClusterID]store.Doc[peer.ClusterRecord]
	Certs    map[mesh.ClusterID]store.Doc[certificate.Record]
	Auths    map[mesh.ClusterID]store.Doc[Auth]
	Syncs    map[mesh.PeerID]store.Doc[peer.SyncRecord]
	PeerCert map[mesh.PeerID]store.Doc[peer.CertRecord]
	States   map[mesh.PeerID]store.Doc[peer.StateRecord]
	Runs     map[string]store.Doc[store.Run]
	// Gone are peers with items whose clusters have left mesh.yaml.
	Gone      []mesh.PeerID
	Pins      map[mesh.NodeName]store.Doc[Pin]
	Overrides Overrides
	// Proposals are the PROPOSAL items, by id: what Peerkeeper would do, or
	// would have done.
	Proposals map[string]store.Doc[Proposed]

	// As stored: only who asks for them pays for decoding them.
	buckets, logs, checks, pastes []store.Item
	userReport, plans             store.Item

	shown *shown // nil unless it was made by Show
}

// ProposedSchema is the schema of PROPOSAL items.
const ProposedSchema = 1

// Proposed is a PROPOSAL#id item: an action asked for, and what became of it.
// It is how observe mode shows what recover would have done.
type Proposed struct {
	Proposal peer.Proposal `json:"proposal"`
	First    time.Time     `json:"first"`
	Ended    time.Time     `json:"ended,omitzero"`    // no longer asked for, or done
	Refused  []Refusal     `json:"refused,omitempty"` // at the last look
	Outcome  string        `json:"outcome,omitempty"`
}

// Load reads a mesh's items: one query for what the functions know, one for
// what people decided.
func Load(ctx context.Context, s store.Store, m *mesh.Mesh) (*Snapshot, error) {
	b, rest, err := LoadAhead(ctx, s, m)
	if b == nil {
		return nil, err
	}
	return b, errors.Join(err, rest())
}

// LoadAhead is Load for a run that is about to wait for clusters: it decodes what
// is stored of them (Clusters, Certs, Auths, Pins), and leaves what is stored of
// their peers, half of a large mesh's bytes, to rest. Until rest has returned,
// which may be in another goroutine, nothing else of the snapshot is there. The
// errors of both are those of Load.
//
// In a full mesh of 30 clusters that take 100 ms, with the store 5 ms away, what is
// stored and what the clusters answer are there after 130 ms instead of 250 on two
// busy cores, and after 200 instead of 290 on one (BenchmarkLoad).
func LoadAhead(ctx context.Context, s store.Store, m *mesh.Mesh) (b *Snapshot, rest func() error, err error) {
	items, err := s.Load(ctx, store.Live(m.Name), "")
	if err != nil {
		return nil, nil, fmt.Errorf("loading mesh %s: %w", m.Name, err)
	}
	said, err := s.Load(ctx, store.Override(m.Name), "")
	if err != nil {
		return nil, nil, fmt.Errorf("loading what people decided of mesh %s: %w", m.Name, err)
	}
	b = blank()
	var later []store.Item
	var errs []error
	for _, it := range append(items, said...) {
		switch kindOf(it) {
		case store.PrefixCluster, store.PrefixCert, store.PrefixAuth, store.PrefixPin:
			errs = append(errs, b.take(m, it))
		default:
			later = append(later, it)
		}
	}
	b.fillClusters(m)
	return b, func() error {
		var errs []error
		for _, it := range later {
			errs = append(errs, b.take(m, it))
		}
		b.fillPeers(m)
		return errors.Join(errs...)
	}, errors.Join(errs...)
}

// Buckets decodes the digests of users for a run that judges by them. Reread reads
// none.
func (b *Snapshot) Buckets(m *mesh.Mesh) (map[mesh.ClusterID]store.Doc[peer.BucketRecord], error) {
	out := map[mesh.ClusterID]store.Doc[peer.BucketRecord]{}
	var errs []error
	for _, it := range b.buckets {
		id := mesh.ClusterID(strings.TrimPrefix(it.SK, store.PrefixBuckets))
		errs = append(errs, decode(b, out, id, it, BucketsSchema))
	}
	for _, id := range m.IDs() {
		fill(out, id, store.Buckets(m.Name, id), BucketsSchema)
	}
	return out, errors.Join(errs...)
}

func blank() *Snapshot {
	return &Snapshot{
		Clusters:  map[mesh.ClusterID]store.Doc[peer.ClusterRecord]{},
		Certs:     map[mesh.ClusterID]store.Doc[certificate.Record]{},
		Auths:     map[mesh.ClusterID]store.Doc[Auth]{},
		Syncs:     map[mesh.PeerID]store.Doc[peer.SyncRecord]{},
		PeerCert:  map[mesh.PeerID]store.Doc[peer.CertRecord]{},
		States:    map[mesh.PeerID]store.Doc[peer.StateRecord]{},
		Runs:      map[string]store.Doc[store.Run]{},
		Pins:      map[mesh.NodeName]store.Doc[Pin]{},
		Overrides: Overrides{Acks: map[string]Override{}, Approvals: map[string]Approval{}},

		Proposals: map[string]store.Doc[Proposed]{},
	}
}

func (b *Snapshot) fillClusters(m *mesh.Mesh) {
	for _, id := range m.IDs() {
		fill(b.Clusters, id, store.Cluster(m.Name, id), ClusterSchema)
		fill(b.Certs, id, store.Cert(m.Name, id), CertSchema)
		fill(b.Auths, id, store.Auth(m.Name, id, mesh.ReadAccount), AuthSchema)
	}
}

func (b *Snapshot) fillPeers(m *mesh.Mesh) {
	for _, p := range m.Peers {
		fill(b.Syncs, p.ID, store.PeerSync(m.Name, p.ID), SyncSchema)
		fill(b.PeerCert, p.ID, store.PeerCert(m.Name, p.ID), CertSchema)
		fill(b.States, p.ID, store.PeerStuck(m.Name, p.ID), StateSchema)
	}
}

// kindOf is the prefix of an item's sort key.
func kindOf(it store.Item) string {
	kind, _, _ := strings.Cut(it.SK, "#")
	return kind + "#"
}

func (b *Snapshot) take(m *mesh.Mesh, it store.Item) error {
	rest := strings.TrimPrefix(it.SK, kindOf(it))
	switch kindOf(it) {
	case store.PrefixCluster:
		return decode(b, b.Clusters, mesh.ClusterID(rest), it, ClusterSchema)
	case store.PrefixBuckets:
		b.buckets = append(b.buckets, it)
	case store.AuditUsersSK + "#":
		b.userReport = it
	case store.PlansSK + "#":
		b.plans = it
	case store.PrefixLog:
		b.logs = append(b.logs, it)
	case store.PrefixPreflight:
		b.checks = append(b.checks, it)
	case store.PrefixPaste:
		b.pastes = append(b.pastes, it)
	case store.PrefixCert:
		id := mesh.ClusterID(rest)
		if err := decode(b, b.Certs, id, it, CertSchema); err != nil {
			return err
		}
		if d, ok := b.Certs[id]; ok {
			d.Value = d.Value.Unpacked()
			b.Certs[id] = d
		}
		return nil
	case store.PrefixAuth:
		return decode(b, b.Auths, mesh.ClusterID(rest), it, AuthSchema)
	case store.PrefixRun:
		return decode(b, b.Runs, rest, it, RunSchema)
	case store.PrefixPin:
		return decode(b, b.Pins, mesh.NodeName(rest), it, PinSchema)
	case store.PrefixProposal:
		return decode(b, b.Proposals, rest, it, ProposedSchema)
	case store.PrefixPause, store.PrefixMaintenance, store.PrefixAck, store.PrefixApproval:
		return b.Overrides.add(it)
	case store.PrefixPeer:
		id, part, err := store.ParsePeer(it.SK)
		if err != nil {
			return err
		}
		switch part {
		case store.PartSync:
			return decode(b, b.Syncs, id, it, SyncSchema)
		case store.PartCert:
			return decode(b, b.PeerCert, id, it, CertSchema)
		case store.PartStuck:
			if _, ok := m.Peer(id); !ok {
				b.Gone = append(b.Gone, id)
			}
			return decode(b, b.States, id, it, StateSchema)
		}
	}
	return nil
}

func decode[K comparable, T any](b *Snapshot, into map[K]store.Doc[T], k K, it store.Item, schema int) error {
	if b.shown != nil {
		if d, ok := reliable[T](b.shown, it, schema); ok {
			into[k] = d
		}
		return nil
	}
	d, err := store.Decode[T](it, schema)
	if errors.Is(err, store.ErrNewerSchema) {
		// So new that it cannot even be read: it is there, it is not ours, and
		// it is no reason to be blind to everything else.
		var zero T
		d, err = store.NewDoc(it.Key, schema, zero), nil
		d.Version, d.Newer = it.Version, true
	}
	if err != nil {
		return err
	}
	into[k] = d
	return nil
}

func fill[K comparable, T any](into map[K]store.Doc[T], k K, key store.Key, schema int) {
	if _, ok := into[k]; !ok {
		var zero T
		into[k] = store.NewDoc(key, schema, zero)
	}
}

// ReclockClusters puts right what a clock ahead of now noted of clusters. Of a
// document that is read only here nothing comes of it.
func (b *Snapshot) ReclockClusters(now time.Time) {
	for id, d := range b.Clusters {
		d.Value.Reclock(now)
		b.Clusters[id] = d
	}
	for id, d := range b.Certs {
		d.Value.Reclock(now)
		b.Certs[id] = d
	}
}

// ReclockPeers does the same for what was noted of peers, and of actions.
func (b *Snapshot) ReclockPeers(m *mesh.Mesh, now time.Time) {
	for id, d := range b.Syncs {
		d.Value.Reclock(now)
		b.Syncs[id] = d
	}
	for id, d := range b.PeerCert {
		d.Value.Reclock(now)
		b.PeerCert[id] = d
	}
	for id, d := range b.States {
		d.Value.Reclock(m.Policy.WaitForPeople.D(), now)
		b.States[id] = d
	}
	for id, d := range b.Proposals {
		if instant.Ahead(d.Value.First, now, 0) {
			d.Value.First = now
		}
		if instant.Ahead(d.Value.Ended, now, 0) {
			d.Value.Ended = now
		}
		b.Proposals[id] = d
	}
}

// Facts are what the stored looks amount to at now, without the digests of users.
// Of a cluster whose record a newer version wrote nothing is known: it is not ours
// to judge by, still less to act on. In a snapshot to be shown what nobody stored is
// not there.
func (b *Snapshot) Facts(m *mesh.Mesh, tick time.Duration, now time.Time) peer.Facts {
	v := peer.Facts{Now: now, Tick: tick, Mesh: m, Clusters: map[mesh.ClusterID]*peer.ClusterRecord{}, CertificateRead: map[mesh.ClusterID]map[mesh.NodeName]time.Time{}}
	for _, id := range m.IDs() {
		if doc, ok := b.Certs[id]; ok && !doc.Newer {
			v.CertificateRead[id] = doc.Value.LastRead()
		}
		if doc, ok := b.Clusters[id]; ok {
			v.Clusters[id] = &doc.Value
			if doc.Newer {
				v.Clusters[id] = &peer.ClusterRecord{}
			}
		}
	}
	logs, _ := b.Logs(m, now) // one that cannot be decoded tells nothing; peersync, whose item it is, fails by it
	v.Logs = LogsRead(logs)
	if plans, err := b.Plans(); err == nil && !plans.Newer {
		v.Changing = plans.Value.Changing()
	}
	return v
}

// LogsRead are what logs say, but for those that a newer version wrote.
func LogsRead(docs map[mesh.ClusterID]store.Doc[peer.LogRecord]) map[mesh.ClusterID]peer.LogRecord {
	out := make(map[mesh.ClusterID]peer.LogRecord, len(docs))
	for id, doc := range docs {
		if !doc.Newer {
			out[id] = doc.Value
		}
	}
	return out
}

// Logs decodes what clusters' logs say, and puts right what a clock ahead of now
// noted.
func (b *Snapshot) Logs(m *mesh.Mesh, now time.Time) (map[mesh.ClusterID]store.Doc[peer.LogRecord], error) {
	out := map[mesh.ClusterID]store.Doc[peer.LogRecord]{}
	var errs []error
	for _, it := range b.logs {
		errs = append(errs, decode(b, out, mesh.ClusterID(strings.TrimPrefix(it.SK, store.PrefixLog)), it, LogSchema))
	}
	if b.shown != nil {
		return out, nil // whose values are kept as they are
	}
	for _, id := range m.IDs() {
		fill(out, id, store.Log(m.Name, id), LogSchema)
	}
	for id, d := range out {
		d.Value.Reclock(now)
		out[id] = d
	}
	return out, errors.Join(errs...)
}

// Certificates joins what certcheck stored to a view of the same snapshot. A record
// of a newer schema is left out.
func (b *Snapshot) Certificates(v *peer.View) *certificate.View {
	records := map[mesh.ClusterID]certificate.Record{}
	for _, id := range v.Mesh.IDs() {
		if doc, ok := b.Certs[id]; ok && !doc.Newer {
			records[id] = doc.Value
		}
	}
	return certificate.NewView(v, records)
}

// Conditions are a peer's conditions as they stand now. Records that a newer version
// wrote, of the peer or of one of its ends, are not understood and say nothing.
func (b *Snapshot) Conditions(v *peer.View, id mesh.PeerID) []peer.Condition {
	out := peer.Conditions(v, id, b.Syncs[id].Value, b.CertOf(id))
	if !b.Syncs[id].Newer && !b.PeerCert[id].Newer && !b.Clusters[id.From].Newer && !b.Clusters[id.To].Newer {
		return out
	}
	for i := range out {
		out[i].Status, out[i].Reason = peer.UnknownStatus, peer.NewerSchema
		out[i].Message = "recorded by a newer version of Peerkeeper than this one"
	}
	return out
}

// CertOf is a peer's certificate record with the instant at which both ends
// were last looked at.
func (b *Snapshot) CertOf(id mesh.PeerID) peer.CertRecord {
	r := b.PeerCert[id].Value
	r.Observed = b.Certs[id.From].Value.At
	if at := b.Certs[id.To].Value.At; at.Before(r.Observed) {
		r.Observed = at
	}
	return r
}

// Accepted lists the certificates that people accepted at run time, by node.
func (b *Snapshot) Accepted() map[mesh.NodeName][]string {
	out := map[mesh.NodeName][]string{}
	for name, d := range b.Pins {
		out[name] = d.Value.SHA256
	}
	return out
}

// Changes collects what a function has to write.
type Changes struct {
	items []store.Item
	errs  []error
}

// Add notes a document if it differs from what is stored. One of a newer
// schema is left as it is.
func Add[T any](c *Changes, doc store.Doc[T]) {
	if doc.Newer {
		return
	}
	it, changed, err := doc.Change()
	switch {
	case err != nil:
		c.errs = append(c.errs, err)
	case changed:
		c.items = append(c.items, it)
	}
}

// Write writes the changed documents. A conflict is an error like any other:
// another run was here, and its word stands until the next tick.
func (c *Changes) Write(ctx context.Context, s store.Store) (int, error) {
	errs := c.errs
	if len(c.items) > 0 {
		errs = append(errs, s.Put(ctx, c.items...))
	}
	return len(c.items), errors.Join(errs...)
}
