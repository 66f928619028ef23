// Package operator is what a person decides about a mesh and asks of it: consent
// to an action, a pause, a maintenance, an alarm that is known, a certificate to
// be accepted, an account to be tried again; the plan, the bundle for a TAC case,
// where a user is home.
//
// A decision is stored first and then entered in the audit with the person's
// name; an error says which of the two is missing. Nothing here changes a
// cluster: stucksync does, which reads the decision at its next run.
package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/peersync"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// Operator is a person at a mesh. Mesh, Store and Now are needed.
type Operator struct {
	Mesh  *mesh.Mesh
	Store store.Store
	Now   func() time.Time // of the mesh
	// Clusters opens the clusters for what is asked of them; a decision needs none.
	Clusters *cluster.Connector
}

// With opens one cluster for a question, under the same guard against lock-out
// as a tick.
func (o *Operator) With(ctx context.Context, c *mesh.Cluster, ask func(context.Context, *cluster.Client) error) error {
	p := &peersync.Peersync{Mesh: o.Mesh, Store: o.Store, Clusters: o.Clusters, Now: o.Now}
	return p.With(ctx, c, ask)
}

// Accept records that a person accepts a certificate for a node, besides those
// that mesh.yaml names, from the next look on. It is audited.
func (o *Operator) Accept(ctx context.Context, node mesh.NodeName, sha256, actor string) error {
	pin, err := mesh.ParseFingerprint(sha256)
	if err != nil {
		return err
	}
	owner, ok := o.Mesh.Owner(node)
	if !ok {
		return fmt.Errorf("%s is no node of mesh %s; `peerkeeper status` lists the clusters, mesh.yaml their nodes", node, o.Mesh.Name)
	}
	cl, _ := o.Mesh.Cluster(owner)
	declared, _ := cl.Node(node)
	now := o.Now()
	_, _, err = store.Claim(ctx, o.Store, store.Pin(o.Mesh.Name, string(declared.Name)), record.PinSchema, func(d *store.Doc[record.Pin], _ bool) (bool, error) {
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
	_, err = repair.Append(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: now, Actor: actor, Intent: "trust accept " + string(declared.Name), Outcome: "done", Evidence: pin})
	return err
}

// Resume lets a rejected account be tried again. It is audited.
func (o *Operator) Resume(ctx context.Context, id mesh.ClusterID, actor string) error {
	if _, ok := o.Mesh.Cluster(id); !ok {
		return fmt.Errorf("%s is no cluster of mesh %s: want one of %s", id, o.Mesh.Name, join(o.Mesh.IDs()))
	}
	now := o.Now()
	done := false
	// Each account is held back by itself.
	for _, account := range []mesh.ClusterID{id, record.WriteAccount(id), record.PlatformAccount(id), record.PlatformWriteAccount(id)} {
		_, changed, err := store.Claim(ctx, o.Store, store.Auth(o.Mesh.Name, account), record.AuthSchema, func(d *store.Doc[record.Auth], exists bool) (bool, error) {
			if !exists || d.Value.Rejected == "" {
				return false, nil
			}
			d.Value.Rejected, d.Value.At, d.Value.Detail = "", now, "resumed by "+actor
			return true, nil
		})
		if err != nil {
			return fmt.Errorf("resuming %s: %w", id, err)
		}
		done = done || changed
	}
	if !done {
		return &NothingToResumeError{id}
	}
	_, err := repair.Append(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: now, Actor: actor, Intent: "resume " + string(id), Outcome: "done", Evidence: "the account is tried again at the next look"})
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
	return plain.List(s)
}

// ApprovalLife is how long an approval waits for its action.
const ApprovalLife = 4 * time.Hour

// word writes one thing that a person said, and turns the gate's epoch. It
// returns the actions that are under way all the same.
func (o *Operator) override(ctx context.Context, key store.Key, intent string, w record.Override) ([]repair.Intent, error) {
	_, _, err := store.Claim(ctx, o.Store, key, record.OverrideSchema, func(d *store.Doc[record.Override], _ bool) (bool, error) {
		d.Value = w
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", intent, err)
	}
	return repair.Interrupt(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: w.At, Actor: w.Actor, Intent: intent, Outcome: "done", Evidence: w.Reason})
}

func (o *Operator) newOverride(scope record.Scope, reason, actor string, lasts time.Duration) record.Override {
	// Whoever calls has refused what is too long to be a reason; what is stored is
	// bounded all the same.
	w := record.Override{Scope: scope, Reason: plain.Line(reason, record.MaxReason), Actor: plain.Line(actor, maxActor), At: o.Now()}
	if lasts > 0 {
		w.Expires = w.At.Add(lasts)
	}
	return w
}

// maxActor bounds the name of who decides, in characters.
const maxActor = 255

// Pause keeps Peerkeeper from acting on what the scope names; lasts 0 is until
// resumed. The actions it returns were meant before and are not called back.
func (o *Operator) Pause(ctx context.Context, scope record.Scope, reason, actor string, lasts time.Duration) ([]repair.Intent, error) {
	return o.override(ctx, store.Pause(o.Mesh.Name, string(scope)), "pause "+string(scope), o.newOverride(scope, reason, actor, lasts))
}

// Maintain declares maintenance: neither actions nor notices.
func (o *Operator) Maintain(ctx context.Context, scope record.Scope, reason, actor string, lasts time.Duration) ([]repair.Intent, error) {
	return o.override(ctx, store.Maintenance(o.Mesh.Name, string(scope)), "maintenance start "+string(scope), o.newOverride(scope, reason, actor, lasts))
}

// Unpause takes a pause back, and Unmaintain a maintenance. The error is a
// *NothingSaidError if there was none.
func (o *Operator) Unpause(ctx context.Context, scope record.Scope, actor string) error {
	return o.takeBack(ctx, store.Pause(o.Mesh.Name, string(scope)), "resume "+string(scope), scope, actor)
}

// Unmaintain ends a maintenance.
func (o *Operator) Unmaintain(ctx context.Context, scope record.Scope, actor string) error {
	return o.takeBack(ctx, store.Maintenance(o.Mesh.Name, string(scope)), "maintenance end "+string(scope), scope, actor)
}

// NothingSaidError says that there is nothing to take back.
type NothingToEndError struct{ Scope record.Scope }

func (e *NothingToEndError) Error() string {
	return fmt.Sprintf("nothing stands for %s that could be ended", e.Scope)
}

func (o *Operator) takeBack(ctx context.Context, key store.Key, intent string, scope record.Scope, actor string) error {
	now := o.Now()
	_, done, err := store.Claim(ctx, o.Store, key, record.OverrideSchema, func(d *store.Doc[record.Override], exists bool) (bool, error) {
		if !exists || !d.Value.Holds(now) {
			return false, nil
		}
		d.Value.Ended = true
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", intent, err)
	}
	if !done {
		return &NothingToEndError{scope}
	}
	_, err = repair.Interrupt(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: now, Actor: actor, Intent: intent, Outcome: "done"})
	return err
}

// Acknowledge says that an alarm is known: it is not repeated. The fingerprint
// may be shortened as long as it fits one alarm only.
func (o *Operator) Acknowledge(ctx context.Context, fingerprint, reason, actor string, lasts time.Duration) (alarm.Notice, error) {
	items, err := alarm.Items(ctx, o.Store, o.Mesh.Name)
	if err != nil {
		return alarm.Notice{}, err
	}
	var fits []alarm.Item
	for fp, it := range items {
		if it.Active() && strings.HasPrefix(fp, fingerprint) && fingerprint != "" {
			fits = append(fits, it)
		}
	}
	if len(fits) != 1 {
		return alarm.Notice{}, fmt.Errorf("%d alarms that stand have a fingerprint beginning with %q; `peerkeeper status` lists them", len(fits), fingerprint)
	}
	it := fits[0]
	w := o.newOverride(record.WholeMesh, reason, actor, lasts)
	w.Alarm, w.Cluster = it.Name, it.Cluster
	_, _, err = store.Claim(ctx, o.Store, store.Ack(o.Mesh.Name, it.Fingerprint), record.OverrideSchema, func(d *store.Doc[record.Override], _ bool) (bool, error) {
		d.Value = w
		return true, nil
	})
	if err != nil {
		return it.Notice, fmt.Errorf("acknowledging %s: %w", it.Name, err)
	}
	_, err = repair.Append(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: w.At, Actor: actor, Intent: "ack " + it.Name + " " + it.Peer + string(it.Cluster), Outcome: "done", Evidence: reason})
	return it.Notice, err
}

// Planned is what `plan` shows of one action.
type Planned struct {
	ID      string         `json:"id"`
	Kind    peer.Action    `json:"kind"`
	Target  string         `json:"target"`
	Cluster mesh.ClusterID `json:"cluster"`
	Peers   []mesh.PeerID  `json:"peers"`
	Why     string         `json:"why"`
	// Source is of an import: which certificate, and of which node.
	Source   *peer.CertSource `json:"source,omitempty"`
	Approval string           `json:"approval"` // why a person is needed; "" if none is
	// Interrupts is what it costs, Collect what to gather before.
	Interrupts string    `json:"interrupts"`
	Collect    []string  `json:"collect,omitempty"`
	Refused    []string  `json:"refused,omitempty"` // what stopped it at the last look
	First      time.Time `json:"first"`
	Ended      time.Time `json:"ended,omitzero"`
	Outcome    string    `json:"outcome,omitempty"`
}

// Plan lists the actions that are asked for now. With past it lists those of
// that time instead, which recover would have taken but for its mode.
func (o *Operator) Plan(ctx context.Context, past time.Duration) ([]Planned, error) {
	book, err := record.Load(ctx, o.Store, o.Mesh)
	if err != nil {
		return nil, err
	}
	now := o.Now()
	out := []Planned{}
	for id, d := range book.Proposals {
		v := d.Value
		switch {
		case past == 0 && !v.Ended.IsZero():
			continue
		case past > 0 && (!v.Ended.IsZero() && now.Sub(v.Ended) > past || !onlyMode(v.Refused)):
			continue
		}
		out = append(out, Planned{id, v.Proposal.Action, v.Proposal.Target.String(), v.Proposal.Target.Cluster, v.Proposal.Peers, v.Proposal.Why, v.Proposal.Source,
			v.Proposal.Approval, v.Proposal.Interrupts, v.Proposal.Collect, v.Refused, v.First, v.Ended, v.Outcome})
	}
	slices.SortFunc(out, func(a, b Planned) int {
		if c := a.First.Compare(b.First); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// onlyMode reports whether nothing but the mode, or an approval that would
// have been asked for, stood in the way.
func onlyMode(refused []string) bool {
	for _, r := range refused {
		guard, _, _ := strings.Cut(r, ":")
		if guard != "mode" && guard != "approval" {
			return false
		}
	}
	return true
}

// Approve consents to one exact action, once, for the next four hours.
func (o *Operator) Approve(ctx context.Context, id, actor string) (Planned, error) {
	planned, err := o.Plan(ctx, 0)
	if err != nil {
		return Planned{}, err
	}
	i := slices.IndexFunc(planned, func(p Planned) bool { return p.ID == id })
	if i < 0 {
		return Planned{}, fmt.Errorf("no action %q is asked for now: `peerkeeper plan` lists those that are", id)
	}
	p := planned[i]
	if p.Approval == "" {
		return p, fmt.Errorf("%s (%s %s) needs no approval", id, p.Kind, p.Target)
	}
	if o.Mesh.Policy.Mode != mesh.Recover {
		return p, fmt.Errorf("policy.mode is observe: nothing is changed, approved or not. By hand: %s", byHand(p))
	}
	now := o.Now()
	_, _, err = store.Claim(ctx, o.Store, store.Approval(o.Mesh.Name, id), record.OverrideSchema, func(d *store.Doc[record.Approval], _ bool) (bool, error) {
		d.Value = record.Approval{ID: id, Actor: actor, At: now, Expires: now.Add(ApprovalLife)}
		d.TTL = now.Add(7 * 24 * time.Hour)
		return true, nil
	})
	if err != nil {
		return p, fmt.Errorf("approving %s: %w", id, err)
	}
	_, err = repair.Append(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: now, Actor: actor, Intent: fmt.Sprintf("approve %s: %s %s", id, p.Kind, p.Target), Outcome: "done", Evidence: p.Why})
	return p, err
}

// ApproveSource consents to every import of one node's certificates that waits for
// a person now: after a renewal there is one in each cluster that pulls. Each is
// recorded by itself.
func (o *Operator) ApproveSource(ctx context.Context, node mesh.NodeName, actor string) ([]Planned, error) {
	planned, err := o.Plan(ctx, 0)
	if err != nil {
		return nil, err
	}
	var out []Planned
	for _, p := range planned {
		if p.Source == nil || !strings.EqualFold(string(p.Source.Node), string(node)) || p.Approval == "" {
			continue
		}
		if _, err := o.Approve(ctx, p.ID, actor); err != nil {
			return out, err
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no import of a certificate of %q waits for a person now: `peerkeeper plan` lists those that do", node)
	}
	return out, nil
}

// byHand is how a person does the same on Cisco's pages.
func byHand(p Planned) string {
	if p.Kind == peer.ImportCertificate {
		what, node, _ := strings.Cut(p.Target, " in "+peer.TomcatTrust+" on ")
		return fmt.Sprintf("Cisco Unified CM IM and Presence Administration of %s, Presence > Inter-Clustering, the peer: Force Manual Sync with \"Also resync peer's Tomcat certificates\", wait 60 s, Certificate Status must read \"Connection is secure\"; "+
			"if it does not: Cisco Unified IM and Presence OS Administration of %s > Security > Certificate Management > Upload Certificate/Certificate chain, Certificate Purpose %s: %s (`peerkeeper check certs --trust` names the file), then restart Cisco Intercluster Sync Agent", node, node, peer.TomcatTrust, what)
	}
	service, node, _ := strings.Cut(p.Target, " on ")
	page := "Control Center - Network Services"
	if service == peer.AXL {
		page = "Control Center - Feature Services"
	}
	verb := "Restart"
	if p.Kind == peer.StartService {
		verb = "Start"
	}
	return fmt.Sprintf("Cisco Unified IM and Presence Serviceability > Tools > %s, server %s: select %s, %s", page, node, service, verb)
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
func (o *Operator) User(ctx context.Context, user string) (Whereabouts, error) {
	w := Whereabouts{ID: user, AsOf: o.Now(), Copies: []Copy{}}
	type found struct {
		users []cluster.User
		err   error
	}
	answers := make([]found, len(o.Mesh.Clusters))
	done := make(chan struct{})
	for i := range o.Mesh.Clusters {
		go func() {
			defer func() { done <- struct{}{} }()
			c := &o.Mesh.Clusters[i]
			answers[i].err = o.With(ctx, c, func(ctx context.Context, client *cluster.Client) (err error) {
				answers[i].users, err = client.Find(ctx, user)
				return err
			})
		}()
	}
	for range o.Mesh.Clusters {
		<-done
	}
	where := map[mesh.ClusterID]map[mesh.ClusterID]bool{} // holder -> homes named
	for i, a := range answers {
		id := o.Mesh.Clusters[i].ID
		if a.err != nil {
			w.Failed = append(w.Failed, NotAsked{id, a.err.Error()})
			continue
		}
		where[id] = map[mesh.ClusterID]bool{}
		for _, u := range a.users {
			home, ok := o.Mesh.Owner(u.Node)
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
	for _, id := range o.Mesh.IDs() {
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
			if _, pulls := o.Mesh.Peer(mesh.PeerID{From: id, To: w.Home.Cluster}); !pulls {
				continue
			}
		}
		w.Copies = append(w.Copies, copied)
	}
	if len(w.Failed) == len(o.Mesh.Clusters) {
		errs := make([]error, len(answers))
		for i, a := range answers {
			errs[i] = a.err
		}
		return w, fmt.Errorf("no cluster could be asked: %w", errors.Join(errs...))
	}
	return w, nil
}
