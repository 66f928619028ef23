package cluster

import (
	"crypto/x509"
	"maps"
	"sync"

	"peerkeeper/shared/certificate"
	"peerkeeper/shared/chain"
	"peerkeeper/shared/mesh"
)

// shownLeaves are the certificates that nodes showed in handshakes, as short
// fingerprints: what certcheck reads is up to six hours old, and a renewed one
// meets every client at once.
type shownLeaves struct {
	mu    sync.Mutex
	print map[mesh.NodeName]string
}

func (c *Client) shown(node mesh.NodeName, leaf *x509.Certificate) {
	c.leaves.mu.Lock()
	defer c.leaves.mu.Unlock()
	if c.leaves.print == nil {
		c.leaves.print = map[mesh.NodeName]string{}
	}
	c.leaves.print[node] = certificate.ShortPrint(chain.Fingerprint(leaf))
}

// Leaves are the short fingerprints of the certificates that nodes showed last,
// trusted or not; a node to which no connection was opened is not among them.
func (c *Client) Leaves() map[mesh.NodeName]string {
	c.leaves.mu.Lock()
	defer c.leaves.mu.Unlock()
	return maps.Clone(c.leaves.print)
}
