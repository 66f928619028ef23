package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
)

// Whereabouts is where one user stands in the whole mesh.
type Whereabouts struct {
	ID     string     `json:"id"`
	Home   *Home      `json:"home"`  // null if no cluster is home, or none could be asked
	Homes  []Home     `json:"homes"` // more than one: a duplicate
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

// User looks a user up in every cluster, by user ID or IM address. Clusters that
// cannot be read are listed as such; nothing is concluded from their silence.
func (o *Operator) User(ctx context.Context, user string) (Whereabouts, error) {
	w := Whereabouts{ID: user, AsOf: o.Now(), Homes: []Home{}, Copies: []Copy{}}
	users := make([][]cluster.User, len(o.Mesh.Clusters))
	errs := o.Ask(ctx, o.Mesh.Clusters, func(ctx context.Context, i int, client *cluster.Client) (err error) {
		users[i], err = client.Find(ctx, user)
		return err
	})
	named(users, user)
	where := map[mesh.ClusterID]map[mesh.ClusterID]bool{} // holder -> homes named
	for i, id := range o.Mesh.IDs() {
		if errs[i] != nil {
			w.Failed = append(w.Failed, NotAsked{id, errs[i].Error()})
			continue
		}
		where[id] = map[mesh.ClusterID]bool{}
		for _, u := range users[i] {
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
		return w, fmt.Errorf("no cluster could be asked: %w", errors.Join(errs...))
	}
	return w, nil
}

// named keeps, of the users found by what may be a user ID or an IM address, those
// whose user ID it is, in whichever cluster; if it is nobody's, those whose address
// it is. A user ID may be a mail address, and another user's IM address.
func named(users [][]cluster.User, text string) {
	isID := func(u cluster.User) bool { return strings.EqualFold(u.ID, text) }
	if !slices.ContainsFunc(users, func(found []cluster.User) bool { return slices.ContainsFunc(found, isID) }) {
		return
	}
	for i := range users {
		users[i] = slices.DeleteFunc(users[i], func(u cluster.User) bool { return !isID(u) })
	}
}
