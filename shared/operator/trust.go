package operator

import (
	"context"
	"fmt"
	"slices"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// Accept records that a person accepts a certificate for a node, besides those
// that mesh.yaml names, from the next look on. It is audited.
func (o *Operator) Accept(ctx context.Context, node mesh.NodeName, sha256 string) error {
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
		d.Value.Node, d.Value.Actor, d.Value.At = declared.Name, o.Actor, now
		d.Value.SHA256 = append(d.Value.SHA256, pin)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("accepting a certificate for %s: %w", node, err)
	}
	_, err = repair.Append(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: now, Actor: o.Actor, Intent: "trust accept " + string(declared.Name), Outcome: "done", Evidence: pin})
	return err
}
