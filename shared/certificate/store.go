package certificate

import (
	"fmt"
	"strings"
	"time"

	"peerkeeper/shared/mesh"
)

// Store is one trust store of a cluster as its nodes told it, cut down to
// what the mesh turns on, because 30 clusters of 6 nodes must fit one item of
// 400 KB.
type Store struct {
	// Nodes are the cluster's nodes, and when each was last asked.
	Nodes []StoreNode `json:"nodes"`
	// Entries are the certificates that any node holds: CAs, and those with the
	// name of a certificate that some node of the mesh has.
	Entries []Entry `json:"held,omitempty"`
	// Others is how many more the store holds.
	Others int `json:"others,omitempty"`
	// Vouched are the served certificates, by short fingerprint, that chain to
	// a CA in the store, signatures checked: the index of the CA in Entries.
	Vouched map[string]int `json:"vouched,omitempty"`
	// Checked are the other CA-signed certificates that were tried and do not.
	Checked []string `json:"checked,omitempty"`
	// Lacks is since when a certificate that is needed is known not to be in the
	// store, or not in that of one node (LackOn).
	Lacks map[string]time.Time `json:"lacks,omitempty"`
	// Came is when a certificate that is needed was first seen to be vouched for
	// by the store after it had been known to lack it.
	Came map[string]time.Time `json:"came,omitempty"`
	// Taken are those that are needed, had been there, and are not any more:
	// somebody may have meant that.
	Taken []string `json:"taken,omitempty"`
}

// StoreNode is one node's store as it was read last.
type StoreNode struct {
	Name mesh.NodeName `json:"name"`
	Read time.Time     `json:"read,omitzero"` // zero: never
	// Cut counts the entries beyond the bound: what is not found among the others
	// may be among these.
	Cut int `json:"cut,omitempty"`
	// Empty counts the entries with an empty certificate, in which nothing is.
	Empty int `json:"empty,omitempty"`
}

// Entry is one certificate in a store.
type Entry struct {
	Print   string    `json:"p"` // short fingerprint
	Subject string    `json:"s"`
	Ends    time.Time `json:"e"`
	// CA is a certificate authority. A self-signed tomcat calls itself one and
	// is none: it has the name of a node.
	CA     bool   `json:"ca,omitempty"`
	Key    string `json:"k,omitempty"`  // of a CA: the short hash of its public key
	Signed bool   `json:"by,omitempty"` // by another: a CA-signed leaf or an intermediate
	EC     bool   `json:"ec,omitempty"` // its key is on an elliptic curve
	File   string `json:"f,omitempty"`
	// Not are the nodes that were read and do not hold it, by index.
	Not []int `json:"not,omitempty"`
}

// ShortPrint is a fingerprint without its prefix, cut to 128 bits.
func ShortPrint(fingerprint string) string {
	s := strings.TrimPrefix(fingerprint, "sha256:")
	return s[:min(32, len(s))]
}

// LackOn is the key in Lacks of a certificate that one node's store lacks.
func LackOn(print string, node int) string { return fmt.Sprintf("%s@%d", print, node) }

// CommonName is the CN of a subject as crypto/x509 writes it, or all of it.
func CommonName(subject string) string {
	for part := range strings.SplitSeq(subject, ",") {
		if cn, ok := strings.CutPrefix(strings.TrimSpace(part), "CN="); ok {
			return cn
		}
	}
	return subject
}
