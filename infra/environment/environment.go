// Package environment reads what an environment is: infra/environments/NAME.yaml
// (account, region, network, alarms) and the mesh beside it in NAME.mesh.yaml.
//
// It owns the format of NAME.yaml and what the two files must agree on. It asks
// AWS for nothing and guesses nothing: an unknown key, or a node that the
// security group would not let through, is an error.
//
// What it returns is complete, or it returns nothing and every fault of both
// files at once (yamlfile.Errors), each with its line and with what would be right.
package environment

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"peerkeeper/shared/mesh"
)

// Environment is one place that Peerkeeper is deployed to: one account, one
// region, one mesh, one stack.
type Environment struct {
	Name    string // the file's own name, such as "dev"
	Account string // twelve digits
	Region  string
	// Production protects the table and the stack against deletion.
	Production bool
	Tags       map[string]string
	Network    Network
	// LogDays is how long logs are kept.
	LogDays int
	// Table is the name of the DynamoDB table; another name is another table,
	// which is how one goes on with a restored one.
	Table string
	// SyslogGroup is the log group into which nodes' lines come; "" if none does.
	SyslogGroup string
	// Subscribers are other accounts that may subscribe to the alarms.
	Subscribers []string
	Mesh        *mesh.Mesh
}

// Network is where the functions stand and how they reach the clusters.
type Network struct {
	Create *Create // exactly one of the two
	Attach *Attach
	// OnPremises are the networks of the clusters; nothing else is reached.
	OnPremises []netip.Prefix
	Link       Link
	// DynamoDBPrefixList is the id of the region's list of DynamoDB's own
	// addresses, for the security group.
	DynamoDBPrefixList string
	Endpoints          Endpoints
	// Forward are the domains that Route 53 Resolver asks the clusters' DNS
	// servers for; empty means that the functions ask them themselves.
	Forward []Forward
}

// Create is a VPC of our own: one private subnet per zone, no way out.
type Create struct {
	CIDR  netip.Prefix
	Zones []string
}

// Subnets divides the VPC among its zones, as evenly as powers of two allow.
func (c Create) Subnets() []netip.Prefix {
	bits := c.CIDR.Bits()
	for n := 1; n < len(c.Zones); n *= 2 {
		bits++
	}
	out := make([]netip.Prefix, len(c.Zones))
	at := c.CIDR.Masked().Addr()
	for i := range out {
		out[i] = netip.PrefixFrom(at, bits)
		at = after(out[i])
	}
	return out
}

// after is the first address behind a network.
func after(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n += 1 << (32 - p.Bits())
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// Attach is a VPC that somebody else owns.
type Attach struct {
	VPC     string
	Subnets []Subnet
}

// Subnet is a subnet of an attached VPC.
type Subnet struct{ ID, Zone, RouteTable string }

// Link is how on-premises is reached; the zero Link says that the VPC is
// linked already.
type Link struct {
	VPN            *VPN
	TransitGateway string // id
}

// VPN is a virtual private gateway of our own: for a site-to-site VPN, or, with
// no customer gateway, for Direct Connect.
type VPN struct {
	ASN             int // Amazon's side; 0 = AWS's default
	CustomerGateway *CustomerGateway
}

// CustomerGateway is the site's end of a VPN.
type CustomerGateway struct {
	Address netip.Addr
	ASN     int  // the site's
	Static  bool // static routes, for a device without BGP
}

// Endpoints are the ways to AWS's services that do not leave AWS.
type Endpoints struct {
	// Zones are where interface endpoints stand; each costs in each zone.
	Zones []string
	// Existing are services of an attached VPC that have an endpoint already.
	Existing []string
	// SecurityGroup is the group of those.
	SecurityGroup string
}

// Services are those that an environment may have an endpoint for already.
func Services() []string { return []string{"dynamodb", "secretsmanager", "sns"} }

// Has says whether a service's endpoint exists already.
func (e Endpoints) Has(service string) bool { return slices.Contains(e.Existing, service) }

// Forward is one domain and the DNS servers that know it.
type Forward struct {
	Domain  string
	Servers []netip.Addr
}

// Port is a port at the clusters that functions may reach.
type Port struct {
	Protocol string // "tcp" or "udp"
	Number   int
	What     string
}

// Ports are all of them; which of these a function is let out to follows from
// the mesh. 8443, 7400 and 5060 are Cisco's (chapter "Configure Intercluster
// Peers"); 443 is certificate REST's.
func Ports() []Port {
	return []Port{
		{"tcp", 8443, "AXL and Control Center"},
		{"tcp", 443, "certificate REST"},
		{"tcp", 7400, "XMPP router"},
		{"tcp", 5060, "SIP"},
		{"tcp", 5061, "SIP over TLS"},
		{"udp", 53, "DNS"},
		{"tcp", 53, "DNS"},
	}
}

var (
	isAccount = regexp.MustCompile(`^[0-9]{12}$`)
	isRegion  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	isName    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)
	isTable   = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)
	isGroup   = regexp.MustCompile(`^[A-Za-z0-9_/.#-]{1,512}$`)
	isSecret  = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,200}$`)
)

// logRetentions are the days that CloudWatch Logs knows.
func logRetentions() []int {
	return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
}

// Load reads the environment of a name from a directory.
func Load(dir, name string) (*Environment, error) {
	if !isName.MatchString(name) {
		return nil, fmt.Errorf("environment %q: want small letters, digits and hyphens, at most 20, such as dev", name)
	}
	path := filepath.Join(dir, name+".yaml")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		names, _ := Names(dir) // it only helps to tell
		return nil, fmt.Errorf("there is no environment %s in %s, only %s: %w", name, dir, strings.Join(names, ", "), err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading environment %s: %w", name, err)
	}
	meshPath := filepath.Join(dir, name+".mesh.yaml")
	return parse(name, path, data, meshPath)
}

// Names are the environments of a directory.
func Names(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.mesh.yaml"))
	if err != nil {
		return nil, fmt.Errorf("listing environments: %w", err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".mesh.yaml")
	}
	return files, nil
}
