package clustersim

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
)

// The structs below are what mesh.yaml looks like; they are this package's own.
type meshFile struct {
	Mesh      string        `yaml:"mesh"`
	Simulated bool          `yaml:"simulated"`
	Clock     meshClock     `yaml:"clock"`
	Domain    string        `yaml:"domain"`
	Dialect   string        `yaml:"dialect"`
	Defaults  meshDefaults  `yaml:"defaults"`
	Clusters  []meshCluster `yaml:"clusters"`
	Peers     meshPeers     `yaml:"peers"`
	Policy    meshPolicy    `yaml:"policy"`
}

type meshClock struct {
	Epoch string  `yaml:"epoch"`
	Rate  float64 `yaml:"rate"`
}

type meshDefaults struct {
	SyncInterval string `yaml:"syncInterval"`
	AutoRecovery bool   `yaml:"autoRecovery"`
	Release      string `yaml:"release"`
}

type meshCluster struct {
	ID                  string     `yaml:"id"`
	Release             string     `yaml:"release"`
	Publisher           string     `yaml:"publisher"`
	CUCM                meshNode   `yaml:"cucm"`
	Nodes               []meshNode `yaml:"nodes"`
	Credentials         string     `yaml:"credentials"`
	WriteCredentials    string     `yaml:"writeCredentials"`
	PlatformCredentials string     `yaml:"platformCredentials"`
	PlatformWrite       string     `yaml:"platformWriteCredentials"`
	TLS                 meshTLS    `yaml:"tls"`
	DNS                 []string   `yaml:"dns"`
	TimeZone            string     `yaml:"timeZone"`
	SyncInterval        string     `yaml:"syncInterval"`
	AutoRecovery        bool       `yaml:"autoRecovery"`
	OVA                 int        `yaml:"ova"`
	Edition             string     `yaml:"edition"`
	SIPFederation       bool       `yaml:"sipFederation"`
	DNSSurvivesSplit    bool       `yaml:"dnsSurvivesSplit"`
}

type meshNode struct {
	Name            string `yaml:"name"`
	TLSName         string `yaml:"tlsName,omitempty"`
	Address         string `yaml:"address"`
	PlatformAddress string `yaml:"platformAddress"`
}

type meshTLS struct {
	CA   string   `yaml:"ca"`
	Pins []string `yaml:"pins"`
}

type meshPeers struct {
	Topology string `yaml:"topology"`
	Protocol string `yaml:"protocol"`
}

type meshPolicy struct {
	Mode string `yaml:"mode"`
}

type secretFile struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Files is what a client of the mesh needs, by file name: mesh.yaml,
// secrets.json, ca.pem, admin.json and dialect.yaml; and apart.yaml, the lines of
// those clusters that do not stand in mesh.yaml, if there are any. It shows the present
// addresses, passwords and certificates; call it after Start if there are to be
// sockets.
func (s *Sim) Files(adminURL string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	epoch := s.cfg.Epoch
	if epoch.IsZero() {
		epoch = s.now()
	}
	mesh := meshFile{
		Mesh: "acme", Simulated: true, Clock: meshClock{epoch.UTC().Format(time.RFC3339Nano), s.cfg.Rate}, Domain: domain, Dialect: "dialect.yaml",
		Peers: meshPeers{"full-mesh", "tcp"}, Policy: meshPolicy{"observe"},
	}
	secrets := map[string]secretFile{}
	var apart []meshCluster
	for _, c := range s.clusters {
		pub := c.publisher()
		if mesh.Defaults.Release == "" {
			mesh.Defaults = meshDefaults{duration(defaultInterval), true, fmt.Sprintf("%d.%d", pub.release.major, pub.release.minor)}
		}
		entry := meshCluster{
			ID: c.id, Release: pub.release.declared(), Publisher: pub.name,
			Credentials: c.id + "/read", WriteCredentials: c.id + "/write", PlatformCredentials: c.id + "/platform", PlatformWrite: c.id + "/platform-write",
			TLS: meshTLS{CA: "ca.pem"}, DNS: []string{c.dns[0].address(), c.dns[1].address()}, TimeZone: c.timeZone.String(),
			SyncInterval: duration(c.agent.interval), AutoRecovery: c.agent.autoRecovery, OVA: 15000, Edition: "standard", DNSSurvivesSplit: true,
		}
		for _, n := range c.nodes {
			if n.role == roleCUCM {
				entry.CUCM = meshNode{n.name, n.tlsName(), n.address(), n.platformAddress()}
				continue
			}
			entry.Nodes = append(entry.Nodes, meshNode{n.name, n.tlsName(), n.address(), n.platformAddress()})
			entry.TLS.Pins = append(entry.TLS.Pins, fingerprint(n.rsa.Leaf))
		}
		if s.apart(c) {
			apart = append(apart, entry)
		} else {
			mesh.Clusters = append(mesh.Clusters, entry)
		}
		for _, kind := range []string{"read", "write", "platform", "platform-write"} {
			a := c.accounts[kind]
			secrets[c.id+"/"+kind] = secretFile{a.username, a.password}
		}
	}
	meshYAML, err1 := yaml.Marshal(mesh)
	secretsJSON, err2 := json.MarshalIndent(secrets, "", "  ")
	adminJSON, err3 := json.Marshal(map[string]string{"url": adminURL})
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("writing the mesh's files: %w", err)
	}
	files := map[string][]byte{
		"mesh.yaml":    append([]byte("# Written by `peerkeeper sim`.\n"), meshYAML...),
		"secrets.json": append(secretsJSON, '\n'),
		"ca.pem":       s.authority.PEM(),
		"admin.json":   append(adminJSON, '\n'),
		"dialect.yaml": []byte(dialectYAML),
	}
	if len(apart) > 0 {
		b, err := yaml.Marshal(map[string][]meshCluster{"clusters": apart})
		if err != nil {
			return nil, fmt.Errorf("writing the mesh's files: %w", err)
		}
		files["apart.yaml"] = append([]byte("# Written by `peerkeeper sim`: the lines of clusters that have no peers and do not\n# stand in mesh.yaml.\n"), b...)
	}
	return files, nil
}

// duration writes 30m, not 30m0s.
func duration(d time.Duration) string { return fmt.Sprintf("%dm", int(d/time.Minute)) }

// tlsName is what mesh.yaml must say of the node's certificate: "" where it
// follows from the node's name and the mesh's domain.
func (n *node) tlsName() string {
	if n.name == n.fqdn || n.name+"."+domain == n.fqdn {
		return ""
	}
	return n.fqdn
}
