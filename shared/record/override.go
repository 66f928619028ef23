package record

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/store"
)

// OverrideSchema is the schema of what people decide: pauses, maintenance,
// acknowledgements and approvals.
const OverrideSchema = 1

// Scope is what a person's decision is about: "mesh", a cluster ("emea"), one
// direction ("emea>apac") or a pair ("emea<>apac").
type Scope string

// WholeMesh is the scope of everything.
const WholeMesh Scope = "mesh"

// ParseScope reads a scope and checks that the mesh has what it names.
func ParseScope(s string, m *mesh.Mesh) (Scope, error) {
	if s == string(WholeMesh) {
		return WholeMesh, nil
	}
	for _, sep := range []string{"<>", ">"} {
		a, b, ok := strings.Cut(s, sep)
		if !ok {
			continue
		}
		for _, id := range []string{a, b} {
			if _, known := m.Cluster(mesh.ClusterID(id)); !known {
				return "", fmt.Errorf("%q: %q is no cluster of mesh %s", s, id, m.Name)
			}
		}
		if a == b {
			return "", fmt.Errorf("%q: a cluster is not its own peer", s)
		}
		return Scope(s), nil
	}
	if _, ok := m.Cluster(mesh.ClusterID(s)); !ok {
		return "", fmt.Errorf("%q is neither mesh, a cluster of mesh %s, a peer (emea>apac) nor a pair (emea<>apac)", s, m.Name)
	}
	return Scope(s), nil
}

// CoversPeer says whether a scope includes a directed peer.
func (s Scope) CoversPeer(id mesh.PeerID) bool {
	if a, b, pair := strings.Cut(string(s), "<>"); pair {
		x, y := mesh.ClusterID(a), mesh.ClusterID(b)
		return (id.From == x && id.To == y) || (id.From == y && id.To == x)
	}
	return s == WholeMesh || string(s) == id.String() || mesh.ClusterID(s) == id.From || mesh.ClusterID(s) == id.To
}

// CoversCluster says whether a scope includes a whole cluster.
func (s Scope) CoversCluster(id mesh.ClusterID) bool {
	return s == WholeMesh || mesh.ClusterID(s) == id
}

// Override is one thing that a person decided: a PAUSE#, MAINT# or ACK# item.
type Override struct {
	Scope   Scope     `json:"scope"`
	Reason  string    `json:"reason"`
	Actor   string    `json:"actor"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires,omitzero"` // zero = until taken back
	Ended   bool      `json:"ended,omitempty"`  // taken back
	// Alarm is what an acknowledgement is about, and Cluster whose alarm it is; ""
	// is the mesh's or a peer's.
	Alarm   string         `json:"alarm,omitempty"`
	Cluster mesh.ClusterID `json:"cluster,omitempty"`
}

// Holds says whether it stands at now.
func (w Override) Holds(now time.Time) bool {
	return !w.Ended && w.Scope != "" && (w.Expires.IsZero() || now.Before(w.Expires))
}

// silenceSkew is how far the clock of who decides may differ from ours: what has
// just been decided counts, also from a laptop.
const silenceSkew = 30 * time.Minute

// Silences says whether one that holds also keeps notices back. One that ends
// later than it could by our clock was given by another, and would keep a mesh
// silent for as long as that one was ahead: it still keeps Peerkeeper from
// acting until it ends, and what is wrong is said.
func (w Override) Silences(now time.Time) bool {
	return w.Holds(now) && (w.Expires.IsZero() || !instant.Ahead(w.Expires, now, w.Expires.Sub(w.At)+silenceSkew))
}

// MaxReason bounds a reason, in characters: what fits a notice and a line of the
// history.
const MaxReason = 500

// ReasonOf is a reason as it is recorded: one line, without what a terminal or a
// page would obey. The error says why it is none.
func ReasonOf(text string) (string, error) {
	text = strings.TrimSpace(text)
	if n := utf8.RuneCountInString(text); n > MaxReason {
		return "", fmt.Errorf("the reason has %d characters, at most %d are kept: name the ticket or the mail that holds the rest", n, MaxReason)
	}
	text = plain.Line(text, MaxReason)
	if strings.Trim(text, " \uFFFD") == "" {
		return "", errors.New("the reason is empty: say why, for those who read the history at night")
	}
	return text, nil
}

// AcknowledgedOf says whether somebody has acknowledged an alarm of a cluster
// since it began. Their clock may differ from ours.
func (s *Overrides) AcknowledgedOf(alarm string, id mesh.ClusterID, began, now time.Time) bool {
	for _, w := range s.Acks {
		if w.Alarm == alarm && w.Cluster == id && w.Holds(now) && !w.At.Before(began.Add(-silenceSkew)) {
			return true
		}
	}
	return false
}

// Approval is an APPROVAL#id item: a person's consent to one exact action.
type Approval struct {
	ID      string    `json:"id"` // of the proposal
	Actor   string    `json:"actor"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"`
}

// Overrides are everything that people have said of a mesh.
type Overrides struct {
	Pauses      []Override
	Maintenance []Override
	// Acks are by alarm fingerprint.
	Acks      map[string]Override
	Approvals map[string]Approval
	// Newer says that something was said through a newer version, and is not
	// understood: nothing may act.
	Newer bool
}

func (s *Overrides) add(it store.Item) error {
	kind, rest, _ := strings.Cut(it.SK, "#")
	decode := func() (Override, error) {
		d, err := store.Decode[Override](it, OverrideSchema)
		s.Newer = s.Newer || d.Newer
		return d.Value, err
	}
	switch kind + "#" {
	case store.PrefixPause:
		w, err := decode()
		s.Pauses = append(s.Pauses, w)
		return err
	case store.PrefixMaintenance:
		w, err := decode()
		s.Maintenance = append(s.Maintenance, w)
		return err
	case store.PrefixAck:
		w, err := decode()
		s.Acks[rest] = w
		return err
	case store.PrefixApproval:
		d, err := store.Decode[Approval](it, OverrideSchema)
		s.Newer = s.Newer || d.Newer
		s.Approvals[rest] = d.Value
		return err
	}
	return nil
}

// Overlays are what people have laid over a peer.
func (s *Overrides) Overlays(id mesh.PeerID, now time.Time) []peer.Overlay {
	var out []peer.Overlay
	for _, x := range []struct {
		all     []Override
		overlay peer.Overlay
		stands  func(Override, time.Time) bool
	}{{s.Pauses, peer.Paused, Override.Holds}, {s.Maintenance, peer.Maintenance, Override.Silences}} {
		for _, w := range x.all {
			if x.stands(w, now) && w.Scope.CoversPeer(id) {
				out = append(out, x.overlay)
				break
			}
		}
	}
	return out
}

// Stops says which override keeps a cluster, or one of the peers that ask for it,
// from being acted on. One on exactly one of the peers that would be
// interrupted (itself, or its pair) stops it too; one on the cluster at the
// other end does not, or a pause of one cluster would be a pause of the mesh.
func (s *Overrides) Stops(id mesh.ClusterID, peers, interrupted []mesh.PeerID, now time.Time) (Override, string, bool) {
	for _, x := range []struct {
		all  []Override
		what string
	}{{s.Pauses, "paused"}, {s.Maintenance, "in maintenance"}} {
		for _, w := range x.all {
			if !w.Holds(now) {
				continue
			}
			covered := w.Scope.CoversCluster(id)
			for _, p := range peers {
				covered = covered || w.Scope.CoversPeer(p)
			}
			for _, p := range interrupted {
				covered = covered || strings.Contains(string(w.Scope), ">") && w.Scope.CoversPeer(p)
			}
			if covered {
				return w, x.what, true
			}
		}
	}
	return Override{}, "", false
}

// MaintenanceOf says whether a cluster as a whole is in maintenance, so that
// nothing is said of it.
func (s *Overrides) MaintenanceOf(id mesh.ClusterID, now time.Time) bool {
	for _, w := range s.Maintenance {
		if w.Silences(now) && w.Scope.CoversCluster(id) {
			return true
		}
	}
	return false
}
