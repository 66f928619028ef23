package record

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"peerkeeper/shared/check"
	"peerkeeper/shared/ciscocli"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/store"
)

// Schemas of what preflight keeps and is told.
const (
	PreflightSchema = 1
	PasteSchema     = 1
)

// Pasted is a PASTE#node item: what people pasted of a node's command line, the newest of each command.
type Pasted struct {
	Node mesh.NodeName                    `json:"node"`
	By   map[ciscocli.Command]check.Paste `json:"by"`
}

// Checks decodes the rows of every cluster, and under "" those of the mesh as a whole. Of an item that does not decode
// nothing is known: the next run judges it whole, and writes over it. In a snapshot to be shown what nobody stored is
// not there.
func (b *Snapshot) Checks(m *mesh.Mesh) map[mesh.ClusterID]store.Doc[check.Record] {
	out := map[mesh.ClusterID]store.Doc[check.Record]{}
	for _, it := range b.checks {
		id := mesh.ClusterID(strings.TrimPrefix(it.SK, store.PrefixPreflight))
		if err := decode(b, out, id, it, PreflightSchema); err != nil {
			doc := store.NewDoc(it.Key, PreflightSchema, check.Record{})
			doc.Version = it.Version
			out[id] = doc
		}
	}
	if b.shown != nil {
		return out
	}
	for _, id := range append([]mesh.ClusterID{""}, m.IDs()...) {
		fill(out, id, store.Preflight(m.Name, id), PreflightSchema)
	}
	return out
}

// ChecksNow reads, as it is now, what the checks of one cluster have found.
func ChecksNow(ctx context.Context, s store.Store, m *mesh.Mesh, id mesh.ClusterID) (store.Doc[check.Record], error) {
	key := store.Preflight(m.Name, id)
	it, err := s.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return store.NewDoc(key, PreflightSchema, check.Record{}), nil
	}
	if err != nil {
		return store.Doc[check.Record]{}, fmt.Errorf("reading the checks of %s: %w", id, err)
	}
	return store.Decode[check.Record](it, PreflightSchema)
}

// Pastes decodes what people pasted, by node. What a newer version was told is left out.
func (b *Snapshot) Pastes() (map[mesh.NodeName]map[ciscocli.Command]check.Paste, error) {
	docs := map[mesh.NodeName]store.Doc[Pasted]{}
	var errs []error
	for _, it := range b.pastes {
		errs = append(errs, decode(b, docs, mesh.NodeName(strings.TrimPrefix(it.SK, store.PrefixPaste)), it, PasteSchema))
	}
	out := map[mesh.NodeName]map[ciscocli.Command]check.Paste{}
	for name, doc := range docs {
		if !doc.Newer {
			out[name] = doc.Value.By
		}
	}
	return out, errors.Join(errs...)
}
