package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"peerkeeper/shared/axl"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// Buckets reads tier 2: a digest of the users by home cluster and last
// character of the user ID. It costs one request.
func (c *Client) Buckets(ctx context.Context, owner func(mesh.NodeName) (mesh.ClusterID, bool), now time.Time) peer.Fact[peer.Buckets] {
	read := map[mesh.ClusterID]map[string]peer.Bucket{}
	cut, dropped := "", false
	_, rows, err := c.read(ctx, purposeBuckets, func(v [][]byte) error {
		id, ok := owner(mesh.NodeName(v[0]))
		if !ok {
			return nil
		}
		n, err1 := count(v[2])
		w, err2 := count(v[3])
		if err1 != nil || err2 != nil {
			return fmt.Errorf("a bucket of %s: the number of users or of characters is no number", id)
		}
		if max(len(v[4]), len(v[5])) > userRunes || len(v[1]) > utf8.UTFMax {
			cut = addCut(cut, "user")
		}
		if _, there := read[id][string(v[1])]; !there && (len(read[id]) >= bucketsKept || len(v[1]) > utf8.UTFMax) {
			dropped = true
			return nil
		}
		if read[id] == nil {
			read[id] = map[string]peer.Bucket{}
		}
		// Nodes of one cluster are added up: which node a user is on is no
		// business of a copy.
		read[id][string(v[1])] = addBucket(read[id][string(v[1])], peer.Bucket{Users: n, Weight: w, Low: string(v[4]), High: string(v[5])})
		return nil
	})
	out := peer.Buckets{}
	for id, buckets := range read {
		out[id] = peer.DigestOf(buckets)
	}
	got := peer.Known(out, now)
	switch {
	case err != nil:
		got = unread(out, rows, err, now)
	case dropped:
		cut = addCut(cut, "user")
		got = peer.Partial(out, now, peer.RowsIncomplete, "the user IDs end in more different characters than are kept")
	}
	got.Cut = cut
	return got
}

func addBucket(a, b peer.Bucket) peer.Bucket {
	if a.Users == 0 {
		return b
	}
	return peer.Bucket{Users: a.Users + b.Users, Weight: a.Weight + b.Weight, Low: min(a.Low, b.Low), High: max(a.High, b.High)}
}

// User is one row of the user stream.
type User struct {
	Key       string // of the row
	ID        string // as the database spells it
	Node      mesh.NodeName
	IMAddress string // "" where the dialect does not read it
	// DirectoryURI is "" for a user without one, and where the dialect does not
	// read it, which URIRead tells apart.
	DirectoryURI string
	URIRead      bool
}

func userOf(v [][]byte) User {
	return User{Key: string(v[0]), ID: string(v[1]), Node: mesh.NodeName(v[2]), IMAddress: string(v[3]), DirectoryURI: string(v[4]), URIRead: v[4] != nil}
}

// bounded cuts what one row may bring.
func (u User) bounded() User {
	u.ID, u.Node = clip(u.ID, userRunes), mesh.NodeName(clip(string(u.Node), hostName))
	u.IMAddress, u.DirectoryURI = clip(u.IMAddress, userRunes), clip(u.DirectoryURI, userRunes)
	return u
}

// Users streams the users that count, homes and copies alike, in pages by
// pkid, under 2 MB each. The users' count is read before and after: if it
// moved, the stream is Partial. Rows are never held whole; a User's strings
// are the caller's to keep.
func (c *Client) Users(ctx context.Context, f Filter, now time.Time, row func(User) error) (peer.Fact[axl.PageStats], error) {
	p, ok := c.dialect.query(purposeRows)
	if !ok {
		err := &Refused{Reason: peer.NoDialect, Message: "no query for " + purposeRows}
		return peer.Unknown[axl.PageStats](peer.NoDialect, err.Error()), err
	}
	before, err := c.total(ctx, f)
	if err != nil {
		return peer.Unknown[axl.PageStats](reasonOf(err), err.Error()), err
	}
	n := c.publisher()
	n.pages.Lock()
	defer n.pages.Unlock()
	stats, err := n.axl.Pages(ctx, &n.pageSize, p.columns, func(after string, limit int) string {
		return rowsSQL(p.sql, f, after, limit)
	}, func(v [][]byte) error {
		return row(userOf(v))
	})
	if err != nil {
		return unread(stats, stats.Rows, err, now), err
	}
	after, err := c.total(ctx, f)
	if err != nil {
		return peer.Partial(stats, now, reasonOf(err), err.Error()), err
	}
	if before != after || (len(f.Buckets) == 0 && len(f.Users) == 0 && stats.Rows != after) {
		return peer.Partial(stats, now, peer.RowsIncomplete, fmt.Sprintf("%d rows read, %d users before and %d after", stats.Rows, before, after)), nil
	}
	return peer.Known(stats, now), nil
}

// total counts the users on the filter's nodes.
func (c *Client) total(ctx context.Context, f Filter) (int, error) {
	want := map[string]bool{}
	for _, n := range f.Nodes {
		want[strings.ToLower(string(n))] = true
	}
	total := 0
	_, _, err := c.read(ctx, purposeCounts, func(v [][]byte) error {
		n, err := count(v[1])
		if err != nil {
			return fmt.Errorf("users of node %q: %w", clip(string(v[0]), hostName), err)
		}
		if len(want) == 0 || want[strings.ToLower(string(v[0]))] {
			total += n
		}
		return nil
	})
	return total, err
}

// Set folds every user into one order-free digest per home cluster (tier 3):
// two 64-bit sums over SHA-256 of the case-folded user ID. Memory does not
// grow with the users. home, unless nil, is given each user at home here, in the
// order of the rows' keys; what it was given is of worth only if the answer is
// Known.
func (c *Client) Set(ctx context.Context, owner func(mesh.NodeName) (mesh.ClusterID, bool), domain string, now time.Time, home func(User), domains ...string) peer.Fact[map[mesh.ClusterID]peer.SetDigest] {
	type sums struct {
		a, b    uint64
		users   int
		foreign int
	}
	acc := map[mesh.ClusterID]*sums{}
	cut := ""
	got, err := c.Users(ctx, Filter{}, now, func(u User) error {
		id, ok := owner(u.Node)
		if !ok {
			return nil
		}
		s := acc[id]
		if s == nil {
			s = &sums{}
			acc[id] = s
		}
		if len(u.ID) > userRunes {
			cut = "user"
		}
		h := sha256.Sum256([]byte(strings.ToLower(u.ID)))
		s.a += binary.LittleEndian.Uint64(h[:8])
		s.b += binary.LittleEndian.Uint64(h[8:16])
		s.users++
		if id == c.cluster.ID && home != nil {
			home(u.bounded())
		}
		if id == c.cluster.ID && domain != "" && foreign(u.IMAddress, domain, domains) {
			s.foreign++
		}
		return nil
	})
	out := make(map[mesh.ClusterID]peer.SetDigest, len(acc))
	for id, s := range acc {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], s.a)
		binary.BigEndian.PutUint64(b[8:], s.b)
		out[id] = peer.SetDigest{Users: s.users, Sum: hex.EncodeToString(b[:]), Foreign: s.foreign}
	}
	f := peer.Known(out, now)
	if err != nil || !got.Known() {
		f = peer.Fact[map[mesh.ClusterID]peer.SetDigest]{Knowledge: got.Knowledge, At: got.At, Reason: got.Reason, Detail: got.Detail, Value: out}
	}
	f.Cut = cut
	return f
}

// foreign reports whether an IM address is in another domain. An empty one
// tells nothing.
//
// The domain is what follows the last @: a user ID may be a mail address, and
// then there are two.
func foreign(address, domain string, others []string) bool {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return false
	}
	same := func(d string) bool { return mesh.SameName(address[at+1:], d) }
	return !same(domain) && !slices.ContainsFunc(others, same)
}

// Named reads the user IDs of one home cluster's differing buckets.
func (c *Client) Named(ctx context.Context, home *mesh.Cluster, buckets []string, now time.Time) (map[string]string, peer.Fact[axl.PageStats]) {
	f := Filter{Buckets: buckets}
	for _, n := range home.Nodes {
		f.Nodes = append(f.Nodes, n.Name)
	}
	ids := map[string]string{}
	dropped := false
	got, _ := c.Users(ctx, f, now, func(u User) error {
		if dropped = len(ids) >= namedKept; dropped {
			return nil
		}
		id := clip(u.ID, userRunes)
		ids[strings.ToLower(id)] = id
		return nil
	})
	if dropped && got.Known() {
		got = peer.Partial(got.Value, got.At, peer.RowsIncomplete, fmt.Sprintf("more than %d users in the buckets that differ", namedKept))
	}
	return ids, got
}

// userQuery asks once for rows of userColumns, at most limit of them.
func (c *Client) userQuery(ctx context.Context, name string, f Filter, after string, limit int, row func(User)) (int, error) {
	p, ok := c.dialect.query(name)
	if !ok {
		return 0, &Refused{Reason: peer.NoDialect, Message: "no query for " + name}
	}
	rows := 0
	_, err := c.publisher().axl.Query(ctx, rowsSQL(p.sql, f, after, limit), p.columns, func(v [][]byte) error {
		if rows++; rows <= limit {
			row(userOf(v).bounded())
		}
		return nil
	})
	return rows, err
}

const (
	findRows = 100
	// FindAtOnce is how many users one Find may look for: a statement of a few KB,
	// and an answer far below 2 MB.
	FindAtOnce = 50
)

// Find looks users up in the cluster's database by user ID or IM address: the
// nodes that their rows, homes and copies, name as home. Of one user's rows
// findRows are kept; of several users' so many that some may be left out is an
// error.
func (c *Client) Find(ctx context.Context, users ...string) ([]User, error) {
	if len(users) > FindAtOnce {
		return nil, fmt.Errorf("looking for %d users at once, at most %d", len(users), FindAtOnce)
	}
	var out []User
	rows, err := c.userQuery(ctx, purposeRows, Filter{Users: users}, "", findRows*len(users), func(u User) { out = append(out, u) })
	if err == nil && len(users) > 1 && rows >= findRows*len(users) {
		err = fmt.Errorf("%d rows of %d users: more than are looked at", rows, len(users))
	}
	return out, err
}

// unassignedKept bounds the users without a node that are read: one answer, below
// 2 MB.
const unassignedKept = 5000

// Unassigned reads the enabled users of this cluster that no node is home to.
// whole is false if there are more than are read.
func (c *Client) Unassigned(ctx context.Context) (users []User, whole bool, err error) {
	rows, err := c.userQuery(ctx, purposeUnassigned, Filter{}, "", unassignedKept+1, func(u User) { users = append(users, u) })
	return users[:min(len(users), unassignedKept)], rows <= unassignedKept, err
}

// betweenRows is asked for at once by Between, and betweenQueries times at most.
const (
	betweenRows    = 400
	betweenQueries = 4
)

// Between reads this cluster's users at home whose rows' keys follow after, up to
// and with until ("" is the end), or until so many were read that something is
// wrong with the range: an error.
func (c *Client) Between(ctx context.Context, after, until string, row func(User)) error {
	f := Filter{}
	for _, n := range c.cluster.Nodes {
		f.Nodes = append(f.Nodes, n.Name)
	}
	for range betweenQueries {
		past := false
		rows, err := c.userQuery(ctx, purposeRows, f, after, betweenRows, func(u User) {
			after = u.Key
			if past = past || until != "" && u.Key > until; !past {
				row(u)
			}
		})
		if err != nil || past || rows < betweenRows || after == until {
			return err
		}
	}
	return fmt.Errorf("more than %d users between two rows' keys that were 256 users apart", betweenQueries*betweenRows)
}
