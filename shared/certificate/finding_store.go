package certificate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
)

// StoreFindings are what the stores, and the certificates of the whole mesh held
// against one another, say of one cluster: what its own stores hold and lack, where
// the sources of a certificate differ, and who does not trust it.
func (v *View) StoreFindings(id mesh.ClusterID) []peer.Finding {
	return slices.Concat(v.Records[id].ownStores(v.Mesh.Policy.Thresholds.CertificateDays, v.Now), v.formerCopies(id), v.sourceFindings(id), v.trustFindings(id))
}

// ownStores is what a cluster's own stores hold that they should not, or
// do not hold everywhere. They need no look at anybody else.
func (r Record) ownStores(days []int, now time.Time) []peer.Finding {
	var out []peer.Finding
	add := func(reason peer.Reason, node mesh.NodeName, store, message string) {
		f := NewFinding(reason, node, "", strings.TrimSuffix(store, "-trust"), message)
		f.ID = f.ID.And(store)
		out = append(out, f)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Trust)) {
		store := r.Trust[name]
		cas := map[string][]Entry{}
		var signed []string
		missing := map[int][]string{}
		for _, h := range store.Entries {
			switch {
			case h.CA && h.Ends.After(now):
				cas[h.Subject] = append(cas[h.Subject], h)
			case h.Signed && !h.CA:
				signed = append(signed, plain.Value(h.Subject))
			}
			for _, i := range h.Not {
				if since, ok := store.Lacks[LackOn(h.Print, i)]; ok && now.Sub(since) >= peer.ReplicationTime {
					missing[i] = append(missing[i], plain.Value(h.Subject))
				}
			}
			if limit, near := nearest(days, h.Ends.Sub(now)); h.CA && near && count(store, h.Print) > 0 {
				add(CAExpires, "", name+":"+h.Print, fmt.Sprintf("the CA %s in %s expires on %s, in less than %d days; it vouches for %d certificates of peers", plain.Name(h.Subject), name, plain.Time(h.Ends), limit, count(store, h.Print)))
			}
		}
		for _, subject := range slices.Sorted(maps.Keys(cas)) {
			keys := map[string]bool{}
			for _, ca := range cas[subject] {
				keys[ca.Key] = true
			}
			if len(keys) > 1 { // the same key twice is a CA whose certificate was renewed
				add(CAConflict, "", name+":"+subject, fmt.Sprintf("%s holds CA certificates named %s with %d different keys", name, plain.Name(subject), len(keys)))
			}
		}
		for _, n := range store.Nodes {
			if n.Cut > 0 {
				add(peer.ValueTooLong, n.Name, name, fmt.Sprintf("%s of %s lists more entries than are looked at (%d more): what is not found among the others is not known to be missing", name, n.Name, n.Cut))
			}
			if n.Empty > 0 {
				add(EmptyStoreEntries, n.Name, name, fmt.Sprintf("%s of %s lists entries with an empty certificate (%d): nothing is there, and the others count", name, n.Name, n.Empty))
			}
		}
		if len(signed) > 0 {
			slices.Sort(signed)
			add(LeafInStore, "", name, fmt.Sprintf("%s holds %d CA-signed certificates of servers: %s", name, len(signed), plain.List(slices.Compact(signed))))
		}
		for _, i := range slices.Sorted(maps.Keys(missing)) {
			if i >= 0 && i < len(store.Nodes) {
				add(NotReplicated, store.Nodes[i].Name, name, fmt.Sprintf("%s of %s lacks %d certificates that other nodes of the cluster hold: %s", name, store.Nodes[i].Name, len(missing[i]), plain.List(missing[i])))
			}
		}
	}
	return out
}

func count(store Store, print string) int {
	n := 0
	for _, i := range store.Vouched {
		if i >= 0 && i < len(store.Entries) && store.Entries[i].Print == print {
			n++
		}
	}
	return n
}

// formerCopies are the certificates in a cluster's stores that have the name of
// one that a peer's node has now, and are none of its present ones. They are
// listed, never deleted.
func (v *View) formerCopies(id mesh.ClusterID) []peer.Finding {
	matrix, r := v.Trust(), v.Records[id]
	present, doubtful, subjects := map[string]bool{}, map[string]bool{}, map[string]mesh.NodeName{}
	for _, row := range matrix.Rows {
		present[row.Store+ShortPrint(row.Fingerprint)] = true
		if row.Unvouched { // then the one in the store may be the node's present one
			doubtful[row.Store+row.KeyType+strings.ToLower(CommonName(row.Subject))] = true
		}
		subjects[row.Store+strings.ToLower(CommonName(row.Subject))] = row.Node
	}
	var out []peer.Finding
	for _, name := range slices.Sorted(maps.Keys(r.Trust)) {
		var files []string
		for _, h := range r.Trust[name].Entries {
			keyType := "RSA"
			if h.EC {
				keyType = "ECDSA"
			}
			if _, of := subjects[name+strings.ToLower(h.Subject)]; of && !h.CA && !present[name+h.Print] && !doubtful[name+keyType+strings.ToLower(h.Subject)] {
				files = append(files, fmt.Sprintf("%s (%s, to %s)", plain.Value(h.Subject), plain.Value(cmp.Or(h.File, h.Print)), plain.Time(h.Ends)))
			}
		}
		if len(files) == 0 {
			continue
		}
		f := NewFinding(SameSubjectOther, "", "", strings.TrimSuffix(name, "-trust"), fmt.Sprintf("%s holds %d former certificates of nodes that have another now: %s", name, len(files), plain.List(files)))
		f.ID = peer.IDOf(SameSubjectOther, name)
		out = append(out, f)
	}
	return out
}
