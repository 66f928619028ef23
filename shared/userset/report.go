package userset

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
)

// Trouble is one kind of problem with users.
type Trouble string

// The kinds, in the order in which they are told. Moving is no fault: the user was
// in two clusters when they were read, and is in one.
const (
	DuplicateUserID       Trouble = "duplicateUserID"
	DuplicateDirectoryURI Trouble = "duplicateDirectoryURI"
	InvalidDirectoryURI   Trouble = "invalidDirectoryURI"
	NoDirectoryURI        Trouble = "noDirectoryURI"
	InvalidUserID         Trouble = "invalidUserID"
	Unassigned            Trouble = "unassigned"
	CopyWithoutHome       Trouble = "copyWithoutHome"
	Moving                Trouble = "moving"
)

// Troubles lists the kinds.
func Troubles() []Trouble {
	return []Trouble{DuplicateUserID, DuplicateDirectoryURI, InvalidDirectoryURI, NoDirectoryURI, InvalidUserID, Unassigned, CopyWithoutHome, Moving}
}

// Report is what is wrong with a mesh's users, by name.
type Report struct {
	Mesh string    `json:"mesh"`
	AsOf time.Time `json:"asOf"`
	// Read is when the users of each cluster were last read whole; nil if never.
	Read     map[mesh.ClusterID]*time.Time `json:"read"`
	Problems []Problem                     `json:"problems"`
	// Counts counts keys; it may be higher than the problems that are named.
	Counts map[Trouble]int `json:"counts"`
	// Unread says what is not known. While anything stands here, a kind without a
	// problem is not a kind without one in the mesh.
	Unread []Gap `json:"unread,omitempty"`
}

// Problem is one key with the users that have it.
type Problem struct {
	Kind  Trouble `json:"kind"`
	Key   string  `json:"key"` // case-folded
	Users []Found `json:"users"`
	// More is how many users have it beyond those.
	More int `json:"more,omitempty"`
}

// Found is one user as a cluster has it. Node is "" where none is assigned.
type Found struct {
	Cluster      mesh.ClusterID `json:"cluster"`
	Node         mesh.NodeName  `json:"node"`
	UserID       string         `json:"userID"`
	IMAddress    string         `json:"imAddress"`
	DirectoryURI string         `json:"directoryURI"`
}

// What of a cluster may not be read; a gap of directory URIs or of copies hides problems
// of some kinds, any other of every kind.
const (
	AllUsers      = "users"
	Suspects      = "suspects"
	WithoutNode   = "users without a node"
	DirectoryURIs = "directory URIs"
	Copies        = "copies"
)

// Gap is what of one cluster could not be read, and why; of several, where Cluster
// is "".
type Gap struct {
	Cluster mesh.ClusterID `json:"cluster"`
	What    string         `json:"what"`
	Reason  string         `json:"reason"`
}

// Passes reports whether the next reading may close the gap by itself. What a database
// does not tell stays unread.
func (g Gap) Passes() bool { return g.What == AllUsers || g.What == Suspects }

// Hides reports whether a problem of a kind may be in what was not read.
func (g Gap) Hides(kind Trouble) bool {
	switch g.What {
	case DirectoryURIs:
		return kind == DuplicateDirectoryURI || kind == InvalidDirectoryURI || kind == NoDirectoryURI
	case Copies:
		return kind == CopyWithoutHome || kind == Moving
	}
	return true
}

// Hidden finds what was not read and may hold a problem of these kinds with a
// cluster's users. The other user with a key may be in any cluster.
func (r Report) Hidden(id mesh.ClusterID, kinds ...Trouble) (Gap, bool) {
	for _, g := range r.Unread {
		for _, kind := range kinds {
			twice := kind == DuplicateUserID || kind == DuplicateDirectoryURI
			if g.Hides(kind) && (twice || g.Cluster == id || g.Cluster == "") {
				return g, true
			}
		}
	}
	return Gap{}, false
}

// Well reports whether everything was read and nothing is wrong.
func (r Report) Well() bool {
	for kind, n := range r.Counts {
		if kind != Moving && n > 0 {
			return false
		}
	}
	return len(r.Unread) == 0
}

// Keys lists the keys of one kind, cut for a message.
func (r Report) Keys(kind Trouble) []string {
	var out []string
	for _, p := range r.Problems {
		if p.Kind == kind {
			out = append(out, plain.Line(p.Key, maxID))
		}
	}
	return out
}

// Unnamed is how many keys of one kind are counted and not named.
func (r Report) Unnamed(kind Trouble) int {
	named := 0
	for _, p := range r.Problems {
		if p.Kind == kind {
			named++
		}
	}
	return max(0, r.Counts[kind]-named)
}

// Sort brings the problems into the order in which they are told.
func (r *Report) Sort() {
	order := Troubles()
	slices.SortFunc(r.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)), cmp.Compare(a.Key, b.Key))
	})
	for _, p := range r.Problems {
		slices.SortFunc(p.Users, func(a, b Found) int {
			return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Node, b.Node), cmp.Compare(a.UserID, b.UserID))
		})
	}
}

const (
	// storedBytes bounds the problems that are stored: the item is read at every
	// tick. storedOf bounds those of one kind, storedUsers the users of one.
	storedBytes = 100_000
	storedOf    = 25
	storedUsers = 6
	storedGaps  = 60
)

// Bounded is the report as it is stored: names cut, and of many problems the
// first of each kind. The counts stay.
func (r Report) Bounded() Report {
	out := r
	out.Problems = []Problem{}
	out.Unread = slices.Clone(r.Unread[:min(len(r.Unread), storedGaps)])
	for i := range out.Unread {
		out.Unread[i].Reason = plain.Line(out.Unread[i].Reason, 200)
	}
	out.Counts = maps.Clone(r.Counts)
	bytes, of := 0, map[Trouble]int{}
	for _, p := range r.Problems {
		if of[p.Kind]++; of[p.Kind] > storedOf {
			continue
		}
		p.Key = plain.Line(p.Key, maxURI)
		p.More += max(0, len(p.Users)-storedUsers)
		p.Users = slices.Clone(p.Users[:min(len(p.Users), storedUsers)])
		for i, u := range p.Users {
			p.Users[i].UserID, p.Users[i].IMAddress, p.Users[i].DirectoryURI = plain.Line(u.UserID, maxID), plain.Line(u.IMAddress, maxID), plain.Line(u.DirectoryURI, maxID)
		}
		b, err := json.Marshal(p)
		if bytes += len(b); err != nil || bytes > storedBytes {
			break
		}
		out.Problems = append(out.Problems, p)
	}
	return out
}
