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
	ID        string // as the database spells it
	Node      mesh.NodeName
	IMAddress string // "" where the dialect does not read it
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
		return row(User{ID: string(v[1]), Node: mesh.NodeName(v[2]), IMAddress: string(v[3])})
	})
	if err != nil {
		return unread(stats, stats.Rows, err, now), err
	}
	after, err := c.total(ctx, f)
	if err != nil {
		return peer.Partial(stats, now, reasonOf(err), err.Error()), err
	}
	if before != after || (len(f.Buckets) == 0 && f.User == "" && stats.Rows != after) {
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
// grow with the users.
func (c *Client) Set(ctx context.Context, owner func(mesh.NodeName) (mesh.ClusterID, bool), domain string, now time.Time, domains ...string) peer.Fact[map[mesh.ClusterID]peer.SetDigest] {
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

// Find looks one user up in the cluster's database: the nodes that the user's
// rows name as home.
func (c *Client) Find(ctx context.Context, user string) ([]User, error) {
	p, ok := c.dialect.query(purposeRows)
	if !ok {
		return nil, &Refused{Reason: peer.NoDialect, Message: "no query for " + purposeRows}
	}
	var out []User
	const rows = 100
	_, err := c.publisher().axl.Query(ctx, rowsSQL(p.sql, Filter{User: user}, "", rows), p.columns, func(v [][]byte) error {
		if len(out) < rows {
			out = append(out, User{ID: clip(string(v[1]), userRunes), Node: mesh.NodeName(clip(string(v[2]), hostName)), IMAddress: clip(string(v[3]), userRunes)})
		}
		return nil
	})
	return out, err
}
