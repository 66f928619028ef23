package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// ApprovalLife is how long an approval waits for its action.
const ApprovalLife = 4 * time.Hour

// Approve consents to one exact action, once, for the next four hours.
func (o *Operator) Approve(ctx context.Context, id string) (Planned, error) {
	planned, err := o.Plan(ctx)
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
		d.Value = record.Approval{ID: id, Actor: o.Actor, At: now, Expires: now.Add(ApprovalLife)}
		d.TTL = now.Add(7 * 24 * time.Hour)
		return true, nil
	})
	if err != nil {
		return p, fmt.Errorf("approving %s: %w", id, err)
	}
	_, err = repair.Append(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: now, Actor: o.Actor, Intent: fmt.Sprintf("approve %s: %s %s", id, p.Kind, p.Target), Outcome: "done", Evidence: p.Why})
	return p, err
}

// ApproveSource consents to every import of one node's certificates that waits for
// a person now: after a renewal there is one in each cluster that pulls. Each is
// recorded by itself.
func (o *Operator) ApproveSource(ctx context.Context, node mesh.NodeName) ([]Planned, error) {
	planned, err := o.Plan(ctx)
	if err != nil {
		return nil, err
	}
	var out []Planned
	for _, p := range planned {
		if p.Source == nil || !strings.EqualFold(string(p.Source.Node), string(node)) || p.Approval == "" {
			continue
		}
		if _, err := o.Approve(ctx, p.ID); err != nil {
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
