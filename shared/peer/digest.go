package peer

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
)

// Digest is how many users of one home cluster there are, and a sum of each of
// their buckets: equal sums have equal counts, lengths and extremes.
type Digest struct {
	Users int `json:"n"`
	// Sums by bucket, written as a URL's query ("a=Zk3x8Qw_&b=…"). Digests are
	// equal far more often than not, and then no bucket is looked at: as maps of
	// Bucket, those of 30 clusters took 35 ms to decode at each tick, not 4.
	Sums string `json:"s"`
}

// sumBytes is the length of a bucket's sum: of 10^14 that differ one goes unseen.
const sumBytes = 6

// DigestOf sums up the buckets of one home cluster.
func DigestOf(buckets map[string]Bucket) Digest {
	var d Digest
	sums := url.Values{}
	for k, b := range buckets {
		d.Users += b.Users
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %q %q", b.Users, b.Weight, b.Low, b.High))
		sums.Set(k, base64.RawURLEncoding.EncodeToString(sum[:sumBytes]))
	}
	d.Sums = sums.Encode()
	return d
}

// differing lists the buckets that are not the same in both; ok is false where
// a digest cannot be read.
func (d Digest) differing(other Digest) (buckets []string, ok bool) {
	if d == other {
		return nil, true
	}
	mine, err1 := url.ParseQuery(d.Sums)
	theirs, err2 := url.ParseQuery(other.Sums)
	if err1 != nil || err2 != nil {
		return nil, false
	}
	for k := range mine {
		if !slices.Equal(mine[k], theirs[k]) {
			buckets = append(buckets, k)
		}
	}
	for k := range theirs {
		if !mine.Has(k) {
			buckets = append(buckets, k)
		}
	}
	slices.Sort(buckets)
	return buckets, true
}
