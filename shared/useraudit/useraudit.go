// Package useraudit tells, by name, what is wrong with the users of a whole mesh:
// those who are twice in it, and those who are wrong by themselves.
//
// It reads no cluster whole. Peersync has kept a keyed hash of every user ID and
// directory URI; hashes that occur twice are a suspicion, and each suspect is read
// again from the cluster's database before anything is said, so that neither two
// texts with one hash nor yesterday's user become a report. What cannot be read
// again is not known: it is told as such, a problem that was told before stays, and
// "none" is never said of it. It writes nothing and changes no cluster.
package useraudit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/userset"
)

const (
	// suspects bounds the hashes of one kind that are read again by name.
	suspects = 1000
	// rangesRead bounds the requests to one cluster for suspects among its users,
	// and findsRead those for users by name.
	rangesRead = 60
	findsRead  = 20
	// tooOld is when a set that is read once a day tells nothing any more.
	tooOld = 72 * time.Hour
)

// Ask opens clusters side by side for a question, under the guard against a
// lock-out, and gives the error of each.
type Ask func(ctx context.Context, clusters []mesh.Cluster, ask func(ctx context.Context, i int, client *cluster.Client) error) []error

// Audit is the use case. All fields are needed.
type Audit struct {
	Mesh  *mesh.Mesh
	Store store.Store
	Ask   Ask
	Now   func() time.Time
}

// Run audits the users. An error means that nothing could be told.
func (a *Audit) Run(ctx context.Context) (userset.Report, error) {
	snapshot, err := record.Load(ctx, a.Store, a.Mesh)
	if err != nil {
		return userset.Report{}, err
	}
	before, err := snapshot.UserReport()
	if err != nil {
		return userset.Report{}, err
	}
	key, err := record.UsersKey(ctx, a.Store, a.Mesh.Name)
	if err != nil {
		return userset.Report{}, err
	}
	r := &run{
		Audit: a, key: key, unread: map[mesh.ClusterID][]userset.Gap{}, asked: map[mesh.ClusterID]*asked{},
		problems: map[userset.Trouble]map[string]*userset.Problem{}, more: map[userset.Trouble]int{},
	}
	if err := r.loadSets(ctx); err != nil {
		return userset.Report{}, err
	}
	if err := r.suspect(ctx); err != nil {
		return userset.Report{}, err
	}
	r.readAgain(ctx)
	r.judgeHomes()
	r.follow(ctx, snapshot)
	return r.report(before), ctx.Err()
}

// run holds what one audit works on.
type run struct {
	*Audit
	key    userset.Key
	heads  map[mesh.ClusterID]userset.Head // of the sets that count
	read   map[mesh.ClusterID]*time.Time
	sets   []mesh.ClusterID                            // in the order of userset.Place.Set
	hashes map[userset.Kind]map[uint64][]userset.Place // that occur more than once

	mu     sync.Mutex
	unread map[mesh.ClusterID][]userset.Gap
	asked  map[mesh.ClusterID]*asked

	problems map[userset.Trouble]map[string]*userset.Problem
	more     map[userset.Trouble]int     // keys that are counted and not named
	moved    map[string][]mesh.ClusterID // by folded ID: who was in several clusters and was found in one at most
}

// asked is what one cluster told when it was read again.
type asked struct {
	users []cluster.User // at home, by name, each row once
}

func (r *run) gap(id mesh.ClusterID, what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unread[id] = append(r.unread[id], userset.Gap{Cluster: id, What: what, Reason: err.Error()})
}

// loadSets finds the sets that count.
func (r *run) loadSets(ctx context.Context) error {
	heads, err := record.UserSets(ctx, r.Store, r.Mesh.Name, r.Mesh.IDs()...)
	if err != nil {
		return err
	}
	r.heads, r.read = map[mesh.ClusterID]userset.Head{}, map[mesh.ClusterID]*time.Time{}
	for _, id := range r.Mesh.IDs() {
		doc, ok := heads[id]
		h := doc.Value
		r.read[id] = nil
		if ok && !doc.Newer {
			r.read[id] = &h.At
		}
		switch {
		case !ok:
			r.gap(id, userset.AllUsers, errors.New("the users have not been read yet; peersync reads them once a day, one cluster at a run"))
		case doc.Newer:
			r.gap(id, userset.AllUsers, store.ErrNewerSchema)
		case h.KeyID != r.key.ID():
			r.gap(id, userset.AllUsers, errors.New("the users were read with another key; the next daily reading mends it"))
		case r.Now().Sub(h.At).Abs() > tooOld:
			r.gap(id, userset.AllUsers, fmt.Errorf("the users were last read whole at %s", h.At.UTC().Format(time.RFC3339)))
		default:
			r.heads[id] = h
			r.sets = append(r.sets, id)
			if !h.URIsRead && h.Assigned > 0 {
				r.gap(id, userset.DirectoryURIs, errors.New("the query user_rows of the dialect has no column directoryuri"))
			}
			if h.Unassigned == nil {
				r.gap(id, userset.WithoutNode, errors.New("they were not told when the users were read"))
			}
		}
	}
	return nil
}

// suspect finds the hashes that occur more than once, one kind of key at a time.
func (r *run) suspect(ctx context.Context) error {
	r.hashes = map[userset.Kind]map[uint64][]userset.Place{}
	for _, k := range userset.Kinds() {
		sets := make([][]uint64, len(r.sets))
		for i, id := range r.sets {
			hashes, err := r.load(ctx, id, k)
			if err != nil {
				if ctx.Err() != nil || !errors.Is(err, userset.ErrTorn) {
					return err
				}
				r.gap(id, userset.AllUsers, err)
			}
			sets[i] = hashes
		}
		found, total := userset.Repeated(sets, suspects)
		r.hashes[k] = found
		if total > len(found) {
			r.more[duplicate(k)] += total - len(found)
		}
	}
	return nil
}

// duplicate is the trouble with a key of a kind that occurs twice.
func duplicate(k userset.Kind) userset.Trouble {
	if k == userset.URIs {
		return userset.DuplicateDirectoryURI
	}
	return userset.DuplicateUserID
}

// load reads one kind of hashes of a set, once more if the set was replaced
// meanwhile.
func (r *run) load(ctx context.Context, id mesh.ClusterID, k userset.Kind) ([]uint64, error) {
	hashes, err := record.UserHashes(ctx, r.Store, r.Mesh.Name, id, r.heads[id], k)
	if !errors.Is(err, userset.ErrTorn) {
		return hashes, err
	}
	heads, again := record.UserSets(ctx, r.Store, r.Mesh.Name, id)
	if again != nil {
		return nil, again
	}
	if doc, ok := heads[id]; ok && !doc.Newer && doc.Value.Generation != r.heads[id].Generation {
		r.heads[id], r.read[id] = doc.Value, &doc.Value.At
		return record.UserHashes(ctx, r.Store, r.Mesh.Name, id, doc.Value, k)
	}
	return nil, err
}

// need is what is asked of one cluster again.
type need struct {
	ranges     [][2]string // after, until
	names      []string
	unassigned bool
}

// needs lists for each cluster the parts of its database in which suspects stand,
// and the users that were wrong by themselves.
func (r *run) needs() map[mesh.ClusterID]*need {
	out := map[mesh.ClusterID]*need{}
	for _, id := range r.sets {
		h := r.heads[id]
		n := &need{unassigned: h.Unassigned != nil && h.Unassigned.Count > 0}
		for _, named := range []userset.Named{h.InvalidID, h.InvalidURI, h.NoURI} {
			n.names = append(n.names, named.IDs...)
		}
		slices.Sort(n.names)
		n.names = slices.Compact(n.names)
		out[id] = n
	}
	for _, k := range userset.Kinds() {
		hashes := r.hashes[k]
		// In order, so that the same suspects are read again where there are too many.
		for _, h := range slices.Sorted(maps.Keys(hashes)) {
			places := hashes[h]
			fits := !slices.ContainsFunc(places, func(p userset.Place) bool { return !out[r.sets[p.Set]].fits(r.heads[r.sets[p.Set]], p.Index) })
			if !fits {
				r.more[duplicate(k)]++
				delete(hashes, h)
				continue
			}
			for _, p := range places {
				id := r.sets[p.Set]
				out[id].add(r.heads[id], p.Index)
			}
		}
	}
	return out
}

// fits reports whether one suspect more is within what a cluster is asked.
func (n *need) fits(h userset.Head, index int) bool {
	after, until, ok := h.Range(index)
	return !ok || len(n.ranges) < rangesRead || slices.Contains(n.ranges, [2]string{after, until})
}

func (n *need) add(h userset.Head, index int) {
	after, until, ok := h.Range(index)
	switch one := [2]string{after, until}; {
	case !ok:
		n.unassigned = true
	case !slices.Contains(n.ranges, one):
		n.ranges = append(n.ranges, one)
	}
}

// readAgain reads the suspects by name.
func (r *run) readAgain(ctx context.Context) {
	needs := r.needs()
	var clusters []mesh.Cluster
	for _, c := range r.Mesh.Clusters {
		if n := needs[c.ID]; n != nil && (len(n.ranges) > 0 || len(n.names) > 0 || n.unassigned) {
			clusters = append(clusters, c)
		} else if n != nil {
			r.asked[c.ID] = &asked{}
		}
	}
	got := make([]*asked, len(clusters))
	errs := r.Ask(ctx, clusters, func(ctx context.Context, i int, client *cluster.Client) (err error) {
		got[i], err = r.readOne(ctx, &clusters[i], client, needs[clusters[i].ID])
		return err
	})
	for i, c := range clusters {
		if errs[i] != nil {
			r.gap(c.ID, userset.Suspects, errs[i])
			continue
		}
		r.asked[c.ID] = got[i]
	}
}

func (r *run) readOne(ctx context.Context, c *mesh.Cluster, client *cluster.Client, n *need) (*asked, error) {
	rows := map[string]cluster.User{} // by key: a user may be asked for twice
	suspect := r.suspected()
	for _, between := range n.ranges {
		err := client.Between(ctx, between[0], between[1], func(u cluster.User) {
			if suspect(u) {
				rows[u.Key] = u
			}
		})
		if err != nil {
			return nil, err
		}
	}
	for names := range slices.Chunk(n.names[:min(len(n.names), findsRead*cluster.FindAtOnce)], cluster.FindAtOnce) {
		found, err := client.Find(ctx, names...)
		if err != nil {
			return nil, err
		}
		for _, u := range found {
			if id, ok := r.Mesh.Owner(u.Node); ok && id == c.ID {
				rows[u.Key] = u
			}
		}
	}
	if n.unassigned {
		users, whole, err := client.Unassigned(ctx)
		if err != nil {
			return nil, err
		}
		if !whole {
			r.gap(c.ID, userset.WithoutNode, fmt.Errorf("there are more than the %d that are read", len(users)))
		}
		for _, u := range users {
			rows[u.Key] = u
		}
	}
	out := &asked{}
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		out.users = append(out.users, rows[k])
	}
	return out, nil
}

// suspected says of a user whether it has a hash that occurs more than once.
func (r *run) suspected() func(cluster.User) bool {
	h := r.key.Hasher()
	return func(u cluster.User) bool {
		_, id := r.hashes[userset.IDs][h.Of(userset.IDs, u.ID)]
		_, uri := r.hashes[userset.URIs][h.Of(userset.URIs, u.DirectoryURI)]
		return id || uri
	}
}

// judgeHomes tells what is wrong with the users that were read again.
func (r *run) judgeHomes() {
	ids, uris := map[string][]userset.Found{}, map[string][]userset.Found{}
	h := r.key.Hasher()
	for _, id := range r.sets {
		got := r.asked[id]
		if got == nil {
			continue
		}
		for _, u := range got.users {
			f := found(id, u)
			foldedID, foldedURI := userset.Fold(userset.IDs, u.ID), userset.Fold(userset.URIs, u.DirectoryURI)
			// A suspect by one key is not always one by the other, whose twin was not read.
			if r.hashes[userset.IDs][h.Of(userset.IDs, u.ID)] != nil {
				ids[foldedID] = append(ids[foldedID], f)
			}
			if r.hashes[userset.URIs][h.Of(userset.URIs, u.DirectoryURI)] != nil {
				uris[foldedURI] = append(uris[foldedURI], f)
			}
			if userset.InvalidID(u.ID) {
				r.add(userset.InvalidUserID, foldedID, f)
			}
			switch {
			case !u.URIRead:
			case u.DirectoryURI == "":
				r.add(userset.NoDirectoryURI, foldedID, f)
			case userset.InvalidURI(u.DirectoryURI):
				r.add(userset.InvalidDirectoryURI, foldedURI, f)
			}
			if u.Node == "" {
				r.add(userset.Unassigned, foldedID, f)
			}
		}
	}
	for key, users := range ids {
		if len(users) > 1 {
			r.add(userset.DuplicateUserID, key, users...)
		}
	}
	for key, users := range uris {
		if len(users) > 1 {
			r.add(userset.DuplicateDirectoryURI, key, users...)
		}
	}
	// Those beyond the ones that were named when the users were read.
	for _, id := range r.sets {
		head := r.heads[id]
		for kind, n := range map[userset.Trouble]userset.Named{userset.InvalidUserID: head.InvalidID, userset.InvalidDirectoryURI: head.InvalidURI, userset.NoDirectoryURI: head.NoURI} {
			r.more[kind] += n.Count - len(n.IDs)
		}
	}
	r.noteMoved(ids)
}

// noteMoved finds who was in more than one cluster when those were read, and now is
// in fewer: to be asked after in the copies.
func (r *run) noteMoved(now map[string][]userset.Found) {
	h := r.key.Hasher()
	r.moved = map[string][]mesh.ClusterID{}
	for key, users := range now {
		places, twice := r.hashes[userset.IDs][h.Of(userset.IDs, key)]
		if !twice || len(users) > 1 {
			continue
		}
		known := true
		var was []mesh.ClusterID
		for _, p := range places {
			id := r.sets[p.Set]
			known = known && r.asked[id] != nil
			was = append(was, id)
		}
		if known && len(slices.Compact(slices.Sorted(slices.Values(was)))) > 1 {
			r.moved[key] = was
		}
	}
}

func (r *run) add(kind userset.Trouble, key string, users ...userset.Found) {
	if r.problems[kind] == nil {
		r.problems[kind] = map[string]*userset.Problem{}
	}
	p := r.problems[kind][key]
	if p == nil {
		p = &userset.Problem{Kind: kind, Key: key}
		r.problems[kind][key] = p
	}
	p.Users = append(p.Users, users...)
}

func found(id mesh.ClusterID, u cluster.User) userset.Found {
	return userset.Found{Cluster: id, Node: u.Node, UserID: u.ID, IMAddress: u.IMAddress, DirectoryURI: u.DirectoryURI}
}

// follow looks after the copies of users that were named: who has moved, and who
// has a copy and no home. That a copy has no home is peersync's finding, when users
// differ; so the two never disagree about one user.
func (r *run) follow(ctx context.Context, snapshot *record.Snapshot) {
	names := slices.Collect(maps.Keys(r.moved))
	for id, doc := range snapshot.Syncs {
		s := doc.Value
		if _, ok := r.Mesh.Peer(id); !ok || s.Named == nil || s.Condition(peer.UsersMatch).Status != peer.False {
			continue
		}
		for _, extra := range s.Named.Extra {
			names = append(names, userset.Fold(userset.IDs, extra), strings.ToLower(extra))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return
	}
	if most := findsRead * cluster.FindAtOnce; len(names) > most {
		r.gap("", userset.Copies, fmt.Errorf("%d users are in copies and not at home: more than are read again", len(names)))
		names = names[:most]
	}
	rows := make([][]cluster.User, len(r.Mesh.Clusters))
	errs := r.Ask(ctx, r.Mesh.Clusters, func(ctx context.Context, i int, client *cluster.Client) error {
		for some := range slices.Chunk(names, cluster.FindAtOnce) {
			users, err := client.Find(ctx, some...)
			if err != nil {
				return err
			}
			rows[i] = append(rows[i], users...)
		}
		return nil
	})
	homes, copies := map[string][]userset.Found{}, map[string][]userset.Found{}
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[userset.Fold(userset.IDs, n)] = true
	}
	whole := true
	for i, id := range r.Mesh.IDs() {
		if errs[i] != nil {
			r.gap(id, userset.Copies, errs[i])
			whole = false
		}
		for _, u := range rows[i] {
			key := userset.Fold(userset.IDs, u.ID)
			if !wanted[key] {
				continue // found by an IM address
			}
			if home, ok := r.Mesh.Owner(u.Node); ok && home == id {
				homes[key] = append(homes[key], found(id, u))
			} else if ok {
				copies[key] = append(copies[key], found(id, u))
			}
		}
	}
	if !whole {
		return // a home that was not seen may be where nobody answered
	}
	for key := range wanted {
		at := homes[key]
		stale := slices.DeleteFunc(slices.Clone(copies[key]), func(f userset.Found) bool {
			named, _ := r.Mesh.Owner(f.Node)
			return slices.ContainsFunc(at, func(h userset.Found) bool { return h.Cluster == named })
		})
		switch {
		case len(stale) == 0:
		case len(at) == 0:
			r.add(userset.CopyWithoutHome, key, stale...)
		case len(at) == 1:
			r.add(userset.Moving, key, append(at, stale...)...)
		}
	}
}

// report puts together what was found. A problem that was told before stays while a
// cluster that it speaks of could not be read again.
func (r *run) report(before *userset.Report) userset.Report {
	out := userset.Report{Mesh: r.Mesh.Name, AsOf: r.Now(), Read: r.read, Problems: []userset.Problem{}, Counts: map[userset.Trouble]int{}}
	if before != nil {
		for _, p := range before.Problems {
			if p.Kind != userset.Moving && r.problems[p.Kind][p.Key] == nil && slices.ContainsFunc(p.Users, func(f userset.Found) bool { return r.blind(f.Cluster, p.Kind) }) {
				r.add(p.Kind, p.Key, p.Users...)
			}
		}
	}
	for _, id := range append(r.Mesh.IDs(), "") {
		out.Unread = append(out.Unread, r.unread[id]...)
	}
	for _, kind := range userset.Troubles() {
		out.Counts[kind] = len(r.problems[kind]) + r.more[kind]
		if before != nil && slices.ContainsFunc(out.Unread, func(g userset.Gap) bool { return g.Hides(kind) }) {
			// Those that were counted and not named may be among what was not read.
			unnamed := before.Unnamed(kind)
			out.Counts[kind] = max(out.Counts[kind], min(before.Counts[kind], out.Counts[kind]+unnamed))
		}
		for _, p := range r.problems[kind] {
			out.Problems = append(out.Problems, *p)
		}
	}
	out.Sort()
	return out
}

// blind reports whether something of a cluster in mesh.yaml is not known that a kind
// of problem turns on.
func (r *run) blind(id mesh.ClusterID, kind userset.Trouble) bool {
	return slices.ContainsFunc(r.unread[id], func(g userset.Gap) bool { return g.Hides(kind) })
}
