package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// Accept records that a person accepts a certificate for a node, besides those
// that mesh.yaml names, from the next look on. It is audited.
func (h *Host) Accept(ctx context.Context, node mesh.NodeName, sha256, actor string) error {
	pin, err := fingerprint(sha256)
	if err != nil {
		return err
	}
	owner, ok := h.Mesh.Owner(node)
	if !ok {
		return fmt.Errorf("%s is no node of mesh %s; `peerkeeper status` lists the clusters, mesh.yaml their nodes", node, h.Mesh.Name)
	}
	cl, _ := h.Mesh.Cluster(owner)
	declared, _ := cl.Node(node)
	now := h.Clock.Now()
	_, _, err = store.Claim(ctx, h.Store, store.Pin(h.Mesh.Name, string(declared.Name)), record.PinSchema, func(d *store.Doc[record.Pin], _ bool) (bool, error) {
		if slices.Contains(d.Value.SHA256, pin) {
			return false, nil
		}
		d.Value.Node, d.Value.Actor, d.Value.At = declared.Name, actor, now
		d.Value.SHA256 = append(d.Value.SHA256, pin)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("accepting a certificate for %s: %w", node, err)
	}
	_, err = repair.Append(ctx, h.Store, h.Mesh.Name, repair.Entry{Time: now, Actor: actor, Intent: "trust accept " + string(declared.Name), Outcome: "done", Evidence: pin})
	return err
}

// fingerprint reads a SHA-256 as openssl, browsers and mesh.yaml write it.
func fingerprint(s string) (string, error) {
	hex := strings.ToLower(strings.ReplaceAll(s, ":", ""))
	hex = strings.TrimPrefix(strings.TrimPrefix(hex, "sha256"), "=")
	if len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", &FingerprintError{s}
	}
	return "sha256:" + hex, nil
}

// FingerprintError says that a text is no fingerprint.
type FingerprintError struct{ Text string }

func (e *FingerprintError) Error() string {
	return fmt.Sprintf("%q is no SHA-256 fingerprint: want 64 hexadecimal digits, as `openssl x509 -fingerprint -sha256` prints them", e.Text)
}

// Resume lets a rejected account be tried again. It is audited.
func (h *Host) Resume(ctx context.Context, id mesh.ClusterID, actor string) error {
	if _, ok := h.Mesh.Cluster(id); !ok {
		return fmt.Errorf("%s is no cluster of mesh %s: want one of %s", id, h.Mesh.Name, join(h.Mesh.IDs()))
	}
	now := h.Clock.Now()
	_, done, err := store.Claim(ctx, h.Store, store.Auth(h.Mesh.Name, id), record.AuthSchema, func(d *store.Doc[record.Auth], exists bool) (bool, error) {
		if !exists || d.Value.Rejected == "" {
			return false, nil
		}
		d.Value.Rejected, d.Value.At, d.Value.Detail = "", now, "resumed by "+actor
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("resuming %s: %w", id, err)
	}
	if !done {
		return &NothingToResumeError{id}
	}
	_, err = repair.Append(ctx, h.Store, h.Mesh.Name, repair.Entry{Time: now, Actor: actor, Intent: "resume " + string(id), Outcome: "done", Evidence: "the account is tried again at the next look"})
	return err
}

// NothingToResumeError says that a cluster's account is not held back.
type NothingToResumeError struct{ Cluster mesh.ClusterID }

func (e *NothingToResumeError) Error() string {
	return fmt.Sprintf("%s refuses no account that is still held back: nothing to resume", e.Cluster)
}

func join[T ~string](ids []T) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = string(id)
	}
	return strings.Join(s, ", ")
}

// Whereabouts is where one user stands in the whole mesh.
type Whereabouts struct {
	ID     string     `json:"id"`
	Home   *Home      `json:"home"`            // null if no cluster is home, or none could be asked
	Homes  []Home     `json:"homes,omitempty"` // more than one: a duplicate
	Copies []Copy     `json:"copies"`
	Failed []NotAsked `json:"failed,omitempty"`
	AsOf   time.Time  `json:"asOf"`
}

// Home is a cluster that is home to the user.
type Home struct {
	Cluster mesh.ClusterID `json:"cluster"`
	Node    mesh.NodeName  `json:"node"`
}

// Copy is whether a cluster that pulls from the home holds the user. Stale
// means that its copy names another home.
type Copy struct {
	Cluster mesh.ClusterID `json:"cluster"`
	Present bool           `json:"present"`
	Stale   bool           `json:"stale"`
}

// NotAsked is a cluster whose database could not be read.
type NotAsked struct {
	Cluster mesh.ClusterID `json:"cluster"`
	Reason  string         `json:"reason"`
}

// User looks a user up in every cluster. Clusters that cannot be read are
// listed as such; nothing is concluded from their silence.
func (h *Host) User(ctx context.Context, user string) (Whereabouts, error) {
	w := Whereabouts{ID: user, AsOf: h.Clock.Now(), Copies: []Copy{}}
	type found struct {
		users []cluster.User
		err   error
	}
	answers := make([]found, len(h.Mesh.Clusters))
	done := make(chan struct{})
	for i := range h.Mesh.Clusters {
		go func() {
			defer func() { done <- struct{}{} }()
			c := &h.Mesh.Clusters[i]
			answers[i].err = h.Peersync().With(ctx, c, func(ctx context.Context, client *cluster.Client) (err error) {
				answers[i].users, err = client.Find(ctx, user)
				return err
			})
		}()
	}
	for range h.Mesh.Clusters {
		<-done
	}
	where := map[mesh.ClusterID]map[mesh.ClusterID]bool{} // holder -> homes named
	for i, a := range answers {
		id := h.Mesh.Clusters[i].ID
		if a.err != nil {
			w.Failed = append(w.Failed, NotAsked{id, a.err.Error()})
			continue
		}
		where[id] = map[mesh.ClusterID]bool{}
		for _, u := range a.users {
			home, ok := h.Mesh.Owner(u.Node)
			if !ok {
				home = mesh.ClusterID(u.Node)
			}
			where[id][home] = true
			if home == id {
				w.ID = u.ID
				w.Homes = append(w.Homes, Home{id, u.Node})
			}
		}
	}
	if len(w.Homes) > 0 {
		w.Home = &w.Homes[0]
	}
	if len(w.Homes) < 2 {
		w.Homes = nil
	}
	for _, id := range h.Mesh.IDs() {
		homes, asked := where[id]
		if !asked || (w.Home != nil && id == w.Home.Cluster) {
			continue
		}
		copied := Copy{Cluster: id}
		for home := range homes {
			if w.Home != nil && home == w.Home.Cluster {
				copied.Present = true
			} else {
				copied.Stale = true
			}
		}
		if w.Home != nil {
			if _, pulls := h.Mesh.Peer(mesh.PeerID{From: id, To: w.Home.Cluster}); !pulls {
				continue
			}
		}
		w.Copies = append(w.Copies, copied)
	}
	if len(w.Failed) == len(h.Mesh.Clusters) {
		errs := make([]error, len(answers))
		for i, a := range answers {
			errs[i] = a.err
		}
		return w, fmt.Errorf("no cluster could be asked: %w", errors.Join(errs...))
	}
	return w, nil
}
