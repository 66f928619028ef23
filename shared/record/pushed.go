package record

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/store"
)

// Schemas of the items in the partition of what was pushed.
const (
	PushSchema   = 1
	IntakeSchema = 1
)

// Tally is the INTAKE item: what became of the lines that were pushed. It begins
// again each day.
type Tally struct {
	Since time.Time `json:"since"`
	Lines int64     `json:"lines"` // of hosts of mesh.yaml, repeats included
	Kept  int64     `json:"kept"`  // of these, those about syncs and peers
	// Refused are lines and connections of hosts that are none of mesh.yaml's;
	// RefusedFrom is the newest of these hosts, "" where it is not known.
	Refused     int64  `json:"refused,omitempty"`
	RefusedFrom string `json:"refusedFrom,omitempty"`
	Unreadable  int64  `json:"unreadable,omitempty"` // too long, broken, or cut off
	Dropped     int64  `json:"dropped,omitempty"`    // there was no room
	Kernel      int64  `json:"kernel,omitempty"`     // lost before Peerkeeper could read them, as far as the system tells
}

// Add counts what another tally has counted.
func (t *Tally) Add(o Tally) {
	t.Lines += o.Lines
	t.Kept += o.Kept
	t.Refused += o.Refused
	t.Unreadable += o.Unreadable
	t.Dropped += o.Dropped
	t.Kernel += o.Kernel
	if o.RefusedFrom != "" {
		t.RefusedFrom = o.RefusedFrom
	}
}

// Pushed reads what a mesh's nodes have pushed. One item that cannot be read, or
// that a newer version wrote, is left out and named: it is a hint less.
func Pushed(ctx context.Context, s Reader, m *mesh.Mesh) (map[mesh.ClusterID]peer.PushRecord, *Tally, error) {
	items, err := s.Load(ctx, store.Pushed(m.Name), "")
	if err != nil {
		return nil, nil, fmt.Errorf("loading what was pushed to mesh %s: %w", m.Name, err)
	}
	out := map[mesh.ClusterID]peer.PushRecord{}
	var tally *Tally
	var errs []error
	for _, it := range items {
		if id, is := strings.CutPrefix(it.SK, store.PrefixPush); is {
			doc, err := store.Decode[peer.PushRecord](it, PushSchema)
			if errs = append(errs, err); err == nil && !doc.Newer {
				out[mesh.ClusterID(id)] = doc.Value
			}
		} else if it.Key == store.Intake(m.Name) {
			doc, err := store.Decode[Tally](it, IntakeSchema)
			if errs = append(errs, err); err == nil && !doc.Newer {
				tally = &doc.Value
			}
		}
	}
	return out, tally, errors.Join(errs...)
}
