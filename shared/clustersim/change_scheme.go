package clustersim

import (
	"fmt"
	"strings"
	"time"
)

const (
	schemeUserID       = "userid"
	schemeDirectoryURI = "directoryURI"
)

// Scheme sets a cluster's IM address scheme, as the page Presence >
// Settings > Advanced Configuration does. By directoryURI the addresses of the
// home users become their directory URIs, spread over the domains; by userid they
// are user ID and default domain again. From the first call on every cluster of
// the mesh tells its scheme among ICSA's parameters (invented).
type Scheme struct {
	AddressScheme string   `json:"addressScheme"`
	Domains       []string `json:"domains"`
}

func (in Scheme) apply(s *Sim, c *cluster, _ time.Time) error {
	domains := in.Domains
	switch in.AddressScheme {
	case schemeUserID:
		if len(domains) > 0 {
			return wrong("domains", "go with directoryURI: by userid there is the default domain only")
		}
		domains = []string{domain}
	case schemeDirectoryURI:
		if len(domains) == 0 {
			domains = []string{domain}
		}
	default:
		return wrong("addressScheme", "%q is neither userid nor directoryURI", in.AddressScheme)
	}
	var each strings.Builder
	var args []any
	for i, d := range domains {
		if d == "" || strings.ContainsAny(d, "@ ") {
			return wrong("domains", "%q is not a domain", d)
		}
		fmt.Fprintf(&each, " WHEN rowid %% %d = %d THEN ?", len(domains), i)
		args = append(args, d)
	}
	if _, err := c.db.exec("UPDATE enduser SET directoryuri = userid || '@' || CASE"+each.String()+" END WHERE "+c.homeCondition(), args...); err != nil {
		return simulatorError(err)
	}
	if _, err := c.db.exec("UPDATE enduser SET imaddress = directoryuri WHERE " + c.homeCondition()); err != nil {
		return simulatorError(err)
	}
	c.homeVersion++
	for _, other := range s.clusters {
		scheme := other.scheme
		if other == c {
			scheme = in.AddressScheme
		}
		if err := s.tellScheme(other, scheme); err != nil {
			return simulatorError(err)
		}
	}
	return nil
}

// tellScheme writes the invented parameters.
func (s *Sim) tellScheme(c *cluster, scheme string) error {
	if scheme == "" {
		scheme = schemeUserID
	}
	c.scheme = scheme
	for name, value := range map[string]string{paramAddressScheme: scheme, paramDefaultDomain: domain} {
		n, err := c.db.exec("UPDATE processconfig SET paramvalue = ? WHERE paramname = ?", value, name)
		if err != nil || n > 0 {
			if err != nil {
				return err
			}
			continue
		}
		for _, node := range c.presenceNodes() {
			if _, err := c.db.exec("INSERT INTO processconfig (pkid, paramname, paramvalue, tkservice, fkprocessnode) SELECT ?, ?, ?, enum, ? FROM typeservice WHERE nameforcontrol = ?",
				newPKID(s.random), name, value, node.pkid, serviceICSA); err != nil {
				return err
			}
		}
	}
	s.readParameters(c)
	return nil
}

// schemeOrDefault is what Cisco installs unless somebody chose.
func (c *cluster) schemeOrDefault() string {
	if c.scheme == "" {
		return schemeUserID
	}
	return c.scheme
}
