package run

import (
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
)

// Request is what a schedule, an event or a person sends a function.
type Request struct {
	Mesh     string `json:"mesh"`
	Function string `json:"function"`
	// ScheduledTime is the idempotency key: a scheduler may deliver twice.
	// Zero means now, whatever is due.
	ScheduledTime time.Time        `json:"scheduledTime,omitzero"`
	Only          []mesh.ClusterID `json:"only,omitempty"`
	DryRun        bool             `json:"dryRun,omitempty"`
}

// Check says why a request is not for a function.
func (r Request) Check(function string) error {
	if r.Function != "" && r.Function != function {
		return fmt.Errorf("it is for %q", r.Function)
	}
	return nil
}

// Dry says that the run completes nothing, and so is not counted.
func (r Request) Dry() bool { return r.DryRun }
