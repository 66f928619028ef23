package peer

import (
	"slices"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// State is where a directed peer stands.
type State string

// The states.
const (
	StateUnknown State = "Unknown"
	Healthy      State = "Healthy"
	Suspect      State = "Suspect"
	Degraded     State = "Degraded"
	Stuck        State = "Stuck"
	Recovering   State = "Recovering"
	Cooling      State = "Cooling"
	NeedsHuman   State = "NeedsHuman"
	Terminated   State = "Terminated"
)

// States lists every state, worst first, for counts and legends.
func States() []State {
	return []State{NeedsHuman, Stuck, Degraded, Recovering, Cooling, Suspect, StateUnknown, Healthy, Terminated}
}

// Overlay holds notices and actions of a peer, never its judgement.
type Overlay string

// The overlays.
const (
	Paused       Overlay = "Paused"
	Maintenance  Overlay = "Maintenance"
	Flapping     Overlay = "Flapping"
	Acknowledged Overlay = "Acknowledged"
	Upgrading    Overlay = "Upgrading"
	Rewound      Overlay = "Rewound"
	// Changing is laid over the pairs that a plan names while it changes them.
	Changing Overlay = "Changing"
)

// DataDiffers is the cause named where only the data differ.
const DataDiffers = "DataDiffers"

// StateRecord is the PEER#…#STUCK item.
type StateRecord struct {
	State State     `json:"state"`
	Since time.Time `json:"since"`
	// Cause is the first condition that explains the state, or DataDiffers.
	Cause    string    `json:"cause,omitempty"`
	Overlays []Overlay `json:"overlays,omitempty"`
	// Ladder is how far a stuck peer's repair has come; nil if it is not stuck.
	Ladder *Ladder `json:"ladder,omitempty"`
	// Flips is the 24 h ring of conditions that changed.
	Flips []Flip `json:"flips,omitempty"`
	// Status is each condition's last status, to notice the next flip.
	Status map[Type]Status `json:"status,omitempty"`
}

// Flip is one change of a condition, or of the state itself (Type "State").
type Flip struct {
	At     time.Time `json:"at"`
	Type   Type      `json:"type"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason Reason    `json:"reason,omitempty"`
}

// stateFlip is the type under which changes of the state are kept in the ring.
const stateFlip Type = "State"

// Conditions puts together what the two writers stored, as it stands at now:
// Observed filled in, and what is too old made Unknown/Stale.
func Conditions(v *View, id mesh.PeerID, sync SyncRecord, cert CertRecord) []Condition {
	observed := v.record(id.From).Seen.At
	out := make([]Condition, 0, len(Types()))
	for _, t := range Types() {
		var c Condition
		var age time.Duration
		switch t {
		case CertificateTrusted, NamesResolve:
			c, age = find(cert.Conditions, t), CertAge
			c.Observed = cert.Observed
			if t == CertificateTrusted {
				c = trustedNow(v, id, c, cert, sync)
			}
			c = contradicted(v, id, c, cert.Standing)
		default:
			c, age = sync.Condition(t), v.maxAge()
			c.Observed = observed
			c = contradicted(v, id, c, sync.Standing)
			if log := v.end(id.From).log; log != nil && c.Reason == OnInterval && c.Basis == Cisco {
				c.Message += ", as it was read " + plain.Time(log.Read) // not stored: it moves with each reading
			}
		}
		switch {
		case c.Status != "" && c.Reason != NotObservable && c.Observed.IsZero():
			// Of a peer that comes back to mesh.yaml, or whose cluster's item is gone.
			c = Condition{Type: t, Status: UnknownStatus, Reason: NotChecked, Basis: Measured, Message: string(id.From) + " has not been read yet"}
		case c.Status == "":
			c = Condition{Type: t, Status: UnknownStatus, Reason: NotChecked, Basis: Measured, Message: "not looked at yet", Observed: c.Observed}
		case c.Reason != NotObservable && !instant.Fresh(c.Observed, v.Now, age):
			c.Status, c.Reason = UnknownStatus, Stale
			c.Message = "last read " + plain.Time(c.Observed) + "; it read: " + c.Message
			c.Since = c.Observed
		}
		c.Message = said(c.Message) // Set cleaned it; who else can write the store may not have
		out = append(out, c)
	}
	return out
}

// Counted reports whether a condition that is not True keeps a peer from being
// Healthy. What only a Cisco page shows does not count; nor does a cause whose
// effect is measured not to be there, nor an unreadable clock once a change has
// been seen to arrive.
func Counted(c Condition, sync SyncRecord) bool {
	if c.Reason == NotObservable || c.Reason == Contradicted {
		return false
	}
	if c.Type == Synced && (c.Reason == ClockNotReadable || c.Reason == LogHasNoSyncLines) && !sync.Progress.IsZero() {
		return false
	}
	return true
}

// StateOf folds conditions into the state, first that fits, with its cause.
func StateOf(conditions []Condition, sync SyncRecord) (State, string) {
	var once Type
	for _, t := range Causes() {
		c := find(conditions, t)
		switch {
		case c.Status != False:
		case !FirstCheck(c):
			return Degraded, string(t)
		case once == "":
			once = t
		}
	}
	synced, users := find(conditions, Synced), find(conditions, UsersMatch)
	switch {
	case synced.Status == False:
		return Stuck, string(Synced)
	case users.Status == False:
		return Degraded, DataDiffers
	case once != "":
		return Suspect, string(once)
	case synced.Reason == Overdue:
		return Suspect, string(Synced)
	case users.Reason == NotYetDecided:
		return Suspect, string(UsersMatch)
	}
	for _, c := range conditions {
		if c.Status == UnknownStatus && Counted(c, sync) {
			return StateUnknown, string(c.Type)
		}
	}
	return Healthy, ""
}

// FirstCheck reports whether a condition has been False at one look only: the
// next one tells whether it was a restart under way. Certificates and names do
// not come and go, and the clocks and the users have waited already: theirs
// counts at once.
func FirstCheck(c Condition) bool {
	switch c.Type {
	case CertificateTrusted, NamesResolve, Synced, UsersMatch:
		return false
	}
	return c.Status == False && !c.Since.Before(c.Observed)
}

// Thresholds of the flapping overlay: changes between Healthy and not within
// the ring. Two of them, so that the overlay itself does not flap.
const (
	flapsOn  = 24
	flapsOff = 12
)

// flipsKept bounds the ring: a peer that flaps at every tick must not outgrow
// its item. It holds more state changes than the upper threshold needs. flipsLast
// is how long a flip counts.
const (
	flipsKept = 400
	flipsLast = 24 * time.Hour
)

// Fold lays a state and its cause over the record, with overlays and ring. The
// state is StateOf's, or the ladder's in the place of Stuck: Recovering, Cooling or
// NeedsHuman.
func Fold(v *View, id mesh.PeerID, conditions []Condition, prev StateRecord, state State, cause string) StateRecord {
	next := StateRecord{State: state, Cause: cause, Since: prev.Since, Status: make(map[Type]Status, len(conditions))}
	for _, f := range prev.Flips {
		if v.Now.Sub(f.At) <= flipsLast {
			next.Flips = append(next.Flips, f)
		}
	}
	for _, c := range conditions {
		was := prev.Status[c.Type]
		next.Status[c.Type] = c.Status
		if was != "" && was != c.Status {
			next.Flips = append(next.Flips, Flip{At: v.Now, Type: c.Type, From: string(was), To: string(c.Status), Reason: c.Reason})
		}
	}
	if prev.State != state {
		next.Since = v.Now
		if prev.State != "" {
			next.Flips = append(next.Flips, Flip{At: v.Now, Type: stateFlip, From: string(prev.State), To: string(state)})
		}
	}
	next.Flips = next.Flips[max(0, len(next.Flips)-flipsKept):]
	next.Overlays = overlays(v, id, prev, next.Flips)
	return next
}

func overlays(v *View, id mesh.PeerID, prev StateRecord, flips []Flip) []Overlay {
	var out []Overlay
	for _, o := range prev.Overlays {
		switch o {
		case Flapping, Upgrading, Rewound, Changing:
			// Derived again below.
		default:
			out = append(out, o)
		}
	}
	changes := 0
	for _, f := range flips {
		if f.Type == stateFlip && (f.To == string(Healthy) || f.From == string(Healthy)) {
			changes++
		}
	}
	if changes >= flapsOn || (changes > flapsOff && slices.Contains(prev.Overlays, Flapping)) {
		out = append(out, Flapping)
	}
	if v.Changing[id] != "" {
		out = append(out, Changing)
	}
	for _, end := range []mesh.ClusterID{id.From, id.To} {
		if v.Upgrading(end) && !slices.Contains(out, Upgrading) {
			out = append(out, Upgrading)
		}
	}
	for _, end := range []mesh.ClusterID{id.From, id.To} {
		r := v.record(end)
		c, ok := v.Mesh.Cluster(end)
		if !ok || r.Rewound.IsZero() || slices.Contains(out, Rewound) {
			continue
		}
		iv, _ := r.EffectiveInterval(c, v.Now)
		if v.Now.Sub(r.Rewound) <= 2*iv {
			out = append(out, Rewound)
		}
	}
	return out
}

// versionAge is how long a node's version counts. One node's is read per tick,
// so that it is more than the round of the largest cluster takes.
const versionAge = 2 * time.Hour

// Upgrading reports whether the cluster looks like one whose nodes are being
// upgraded: their versions differ, or two of them restarted within the hour.
func (v *View) Upgrading(id mesh.ClusterID) bool {
	r := v.record(id)
	version := ""
	for _, n := range r.Seen.Nodes {
		// A version read long ago is no witness of what is happening now.
		got, ok := n.Version.Fresh(v.Now, versionAge).Get()
		if !ok {
			continue
		}
		if version != "" && got != version {
			return true
		}
		version = got
	}
	recent := 0
	for _, at := range r.Restarted {
		if v.Now.Sub(at) <= time.Hour {
			recent++
		}
	}
	return recent >= 2
}
