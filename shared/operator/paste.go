package operator

import (
	"context"
	"fmt"

	"peerkeeper/shared/check"
	"peerkeeper/shared/ciscocli"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// Paste records what a person pasted of a node's command line; the newest of each command stands. It is audited.
func (o *Operator) Paste(ctx context.Context, node mesh.NodeName, output ciscocli.Output) (check.Paste, error) {
	owner, ok := o.Mesh.Owner(node)
	if !ok {
		return check.Paste{}, fmt.Errorf("%s is no node of mesh %s", node, o.Mesh.Name)
	}
	cl, _ := o.Mesh.Cluster(owner)
	declared, _ := cl.Node(node)
	kept := check.Paste{Output: output, Actor: plain.Line(o.Actor, maxActor), At: o.Now()}
	_, _, err := store.Claim(ctx, o.Store, store.Paste(o.Mesh.Name, declared.Name), record.PasteSchema, func(d *store.Doc[record.Pasted], _ bool) (bool, error) {
		d.Value.Node = declared.Name
		by := map[ciscocli.Command]check.Paste{output.Command: kept}
		for command, earlier := range d.Value.By {
			if command != output.Command {
				by[command] = earlier
			}
		}
		d.Value.By = by
		return true, nil
	})
	if err != nil {
		return check.Paste{}, fmt.Errorf("keeping what was pasted of %s: %w", node, err)
	}
	_, err = repair.Append(ctx, o.Store, o.Mesh.Name, repair.Entry{Time: kept.At, Actor: o.Actor, Intent: "preflight paste " + string(declared.Name), Outcome: "done", Evidence: string(output.Command)})
	return kept, err
}
