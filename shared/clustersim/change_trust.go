package clustersim

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"time"
)

// Trust changes a store on every node of the cluster, or on one, at once;
// ICSA sees it as if it had been restarted. What is added is a certificate of the
// mesh by its fingerprint, any by its PEM, or an entry in which nothing is.
type Trust struct {
	Remove   string `json:"remove"`
	Add      string `json:"add"`
	AddEmpty bool   `json:"addEmpty"`
	Store    string `json:"store"`
	Node     string `json:"node"`
}

func (in Trust) apply(s *Sim, c *cluster, _ time.Time) error {
	given := 0
	for _, is := range []bool{in.Remove != "", in.Add != "", in.AddEmpty} {
		if is {
			given++
		}
	}
	if given != 1 {
		return wrong("remove", "give one of remove, add and addEmpty")
	}
	if in.Store == "" {
		in.Store = tomcatTrust
	}
	if !contains(storeNames, in.Store) {
		return wrong("store", "%q is none of %s", in.Store, strings.Join(storeNames, ", "))
	}
	var only *node
	nodes := c.presenceNodes()
	if in.Node != "" {
		n, err := c.nodeField(in.Node)
		if err != nil {
			return err
		}
		only, nodes = n, []*node{n}
	}
	icsa := in.Store == tomcatTrust && (only == nil || only == c.publisher())
	if in.AddEmpty {
		for _, n := range nodes {
			s.trust(n, in.Store).empty++
		}
		return nil
	}
	if strings.Contains(in.Add, "-----BEGIN ") {
		certs, err := pemCertificates(in.Add)
		if err != nil {
			return wrong("add", "%v", err)
		}
		for _, cert := range certs {
			for _, n := range nodes {
				s.trust(n, in.Store).put(cert)
			}
			if icsa {
				c.believed[fingerprint(cert)] = cert
			}
		}
		return nil
	}
	if in.Add != "" {
		print := strings.ToLower(in.Add)
		if !strings.HasPrefix(print, "sha256:") || len(print) != len("sha256:")+64 {
			return wrong("add", "%q is neither PEM nor sha256: and 64 hexadecimal digits", in.Add)
		}
		cert := s.known(print)
		if cert == nil {
			return wrong("add", "no certificate of this mesh has the fingerprint %s", in.Add)
		}
		for _, n := range nodes {
			s.trust(n, in.Store).put(cert)
		}
		if icsa {
			c.believed[print] = cert
			delete(c.distrusted, print)
		}
		return nil
	}
	certs, found := s.named(in.Remove)
	for _, cert := range certs {
		print := fingerprint(cert)
		found = s.distrust(c, only, in.Store, print) || found
		if icsa {
			delete(c.believed, print)
			c.distrusted[print] = cert
		}
	}
	if !found {
		return wrong("remove", "%q is not in %s of %s", in.Remove, in.Store, c.id)
	}
	return nil
}

// named are the certificates that a text means: one by its fingerprint, or what
// a node serves on 8443 now by the node's name. node says that it is the latter,
// which need not have reached anybody yet.
func (s *Sim) named(text string) (certs []*x509.Certificate, node bool) {
	if cert := s.known(strings.ToLower(text)); cert != nil {
		return []*x509.Certificate{cert}, false
	}
	for _, c := range s.clusters {
		for _, n := range c.nodes {
			if !equalNames(n.name, text) {
				continue
			}
			for _, cert := range []*tls.Certificate{n.rsa, n.ecdsa} {
				if cert != nil {
					certs = append(certs, cert.Leaf)
				}
			}
			return certs, true
		}
	}
	return nil, false
}
