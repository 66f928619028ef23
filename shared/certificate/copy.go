package certificate

import (
	"fmt"

	"peerkeeper/shared/mesh"
)

// Copy is a certificate that a person must copy by hand.
type Copy struct {
	// File is what to download at the source: a leaf's identity file, or the
	// chain of a CA-signed one, which is copied instead of the leaf.
	File string         `json:"file"`
	From mesh.ClusterID `json:"from"`
	Node mesh.NodeName  `json:"node"` // where it is downloaded
	// Issuer is the CA whose chain is meant; "" for a self-signed certificate.
	Issuer      string         `json:"issuer,omitempty"`
	Fingerprint string         `json:"fingerprint"` // of the leaf, to compare
	To          mesh.ClusterID `json:"to"`
	Publisher   mesh.NodeName  `json:"publisher"` // where it is uploaded; it replicates from there
	Store       string         `json:"store"`
	Verdict     Verdict        `json:"verdict"`
	// Stale is the old copy's file in the store, which a person may delete.
	Stale string `json:"stale,omitempty"`
}

// Copies lists what must be copied by hand where nothing carries it over: one
// line per file and destination. A CA is copied once, however many leaves it
// signed.
func (v *View) Copies() []Copy {
	m := v.Trust()
	out := []Copy{}
	at := map[string]bool{}
	for _, r := range m.Rows {
		for i, id := range m.Clusters {
			cell := r.Cells[i]
			if cell.Verdict != Missing && cell.Verdict != StaleCopy {
				continue
			}
			to, _ := v.Mesh.Cluster(id)
			c := Copy{
				File: r.Service + ".pem", From: r.Cluster, Node: r.Node, Issuer: r.Issuer, Fingerprint: r.Fingerprint,
				To: id, Publisher: to.Publisher, Store: r.Store, Verdict: cell.Verdict, Stale: cell.Entry,
			}
			key := fmt.Sprint(r.Fingerprint, "|", id, "|", r.Store)
			if r.Issuer != "" {
				c.File = "the CA certificates of " + CommonName(r.Issuer)
				key = fmt.Sprint(r.Issuer, "|", id, "|", r.Store)
			}
			if !at[key] {
				at[key] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// String writes the copy as an instruction.
func (c Copy) String() string {
	text := fmt.Sprintf("%s of %s (%s) to %s of %s (%s)", c.File, c.Node, c.From, c.Store, c.Publisher, c.To)
	if c.Stale != "" {
		text += "; the old copy there is " + c.Stale
	}
	return text
}
