package clustersim

import (
	"time"
)

// Certificates renews an identity; absent fields stay as they are. A
// multi-server certificate is the same on every node of the cluster. One with
// "served": false is served when Cisco Tomcat has been restarted.
type Certificates struct {
	Node        string     `json:"node"`
	Service     string     `json:"service"`
	KeyType     string     `json:"keyType"`
	NotBefore   *time.Time `json:"notBefore"`
	NotAfter    *time.Time `json:"notAfter"`
	SANs        *[]string  `json:"sans"`
	Issuer      string     `json:"issuer"`
	MultiServer *bool      `json:"multiServer"`
	Served      *bool      `json:"served"`
	Negative    *bool      `json:"negativeSerial"`
	// IntermediateNotAfter has an issuing CA sign that ends then.
	IntermediateNotAfter *time.Time `json:"intermediateNotAfter"`
}

func (in Certificates) apply(s *Sim, c *cluster, now time.Time) error {
	if in.Served != nil && !*in.Served && in.Service != "" && in.Service != serviceNameTomcat {
		return wrong("served", "only tomcat waits for a restart here")
	}
	if in.Node == "" && in.IntermediateNotAfter != nil {
		in.Node = c.publisher().name
	}
	n, err := c.nodeField(in.Node)
	if err != nil {
		return err
	}
	if in.KeyType == "" {
		in.KeyType = keyRSA
	}
	if in.Service == "" {
		in.Service = serviceNameTomcat
	}
	if in.KeyType != keyRSA && in.KeyType != keyECDSA {
		return wrong("keyType", "%q is neither RSA nor ECDSA", in.KeyType)
	}
	slot := n.slot(in.Service, in.KeyType)
	if slot == nil {
		return wrong("service", "%s has no %s identity %q", n.name, in.KeyType, in.Service)
	}
	if in.Service != serviceNameTomcat {
		if err := s.issueOthers(n, now); err != nil {
			return simulatorError(err)
		}
	}
	old := *slot
	multi := old != nil && isMultiServer(old)
	spec := certSpec{CN: n.fqdn, SANs: []string{n.fqdn}, KeyType: in.KeyType, Issuer: issuerCA, NotBefore: now.Add(-time.Hour).Truncate(time.Second),
		NotAfter: now.AddDate(1, 0, 0).Truncate(time.Second), Avoid: old}
	if old != nil {
		if string(old.Leaf.RawIssuer) == string(old.Leaf.RawSubject) {
			spec.Issuer = issuerSelf
		}
		spec.SANs, spec.OddSANs = sanTexts(old), true
	}
	if in.MultiServer != nil && *in.MultiServer != multi {
		multi = *in.MultiServer
		spec.SANs = []string{n.fqdn}
		if multi {
			spec.SANs = nil
			for _, other := range c.nodes { // every CUCM and IM&P node
				spec.SANs = append(spec.SANs, other.fqdn)
			}
		}
	}
	holders := []*node{n}
	if multi {
		if in.Service == serviceNameCUP {
			return wrong("multiServer", "cup has no multi-server certificate")
		}
		spec.CN = multiServerName(n.fqdn)
		holders = c.nodes
	}
	switch in.Issuer {
	case "":
	case issuerCA, issuerSelf:
		spec.Issuer = in.Issuer
	default:
		return wrong("issuer", "%q is neither self nor ca", in.Issuer)
	}
	if in.IntermediateNotAfter != nil {
		if in.Issuer == issuerSelf {
			return wrong("intermediateNotAfter", "does not go with issuer self")
		}
		spec.Issuer = issuerCA
		if spec.By, err = s.authority.newIntermediate(*in.IntermediateNotAfter); err != nil {
			return simulatorError(err)
		}
	}
	if in.SANs != nil {
		spec.SANs, spec.OddSANs = *in.SANs, true
	}
	if in.NotAfter != nil {
		spec.NotAfter = *in.NotAfter
		if !spec.NotBefore.Before(spec.NotAfter) { // one that has expired was valid once
			spec.NotBefore = spec.NotAfter.AddDate(-1, 0, 0)
		}
	}
	if in.NotBefore != nil {
		spec.NotBefore = *in.NotBefore
	}
	spec.Negative = in.Negative != nil && *in.Negative
	cert, err := s.authority.issue(spec)
	if err != nil {
		return wrong("sans", "%v", err)
	}
	for _, holder := range holders {
		at := holder.slot(in.Service, in.KeyType)
		switch {
		case at == nil:
		case in.Served != nil && !*in.Served:
			holder.install(in.KeyType, &cert)
		default:
			*at = &cert
			if in.Service == serviceNameTomcat {
				delete(holder.installed, in.KeyType)
			}
		}
	}
	s.trustOwn(n, storeOf(in.Service), &cert, now)
	s.log("%s: certificate renewed: %s", n.name, fingerprint(cert.Leaf))
	return nil
}
