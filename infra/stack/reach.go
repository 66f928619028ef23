package stack

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"

	"peerkeeper/infra/environment"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/check"
	"peerkeeper/shared/mesh"
)

// reaches are the ports at the clusters that a function may reach: those behind
// which the accounts that it may read are asked for, and those where it looks
// without one, such as where what it imports is served. A function that has no business at a cluster has no way there.
func reaches(m *mesh.Mesh, f Function) []environment.Port {
	var out []environment.Port
	let := func(protocol, number string) {
		i := slices.IndexFunc(environment.Ports(), func(p environment.Port) bool { return p.Protocol == protocol && strconv.Itoa(p.Number) == number })
		if i < 0 {
			panic(fmt.Sprintf("%s reaches %s port %s, which environment has let pass", f.Name, protocol, number)) // it checks the mesh
		}
		if p := environment.Ports()[i]; !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	at := func(address string) {
		if _, port, err := net.SplitHostPort(address); err == nil {
			let("tcp", port)
		}
	}
	nodes := func(c *mesh.Cluster) {
		for _, n := range c.Nodes {
			at(n.Address)
		}
		if c.CUCM != nil {
			at(c.CUCM.Address)
		}
	}
	imports := false
	for i := range m.Clusters {
		c := &m.Clusters[i]
		for _, a := range f.Accounts {
			switch {
			case a.Secret(c) == "" || a.Writes() && m.Policy.Mode != mesh.Recover:
			case a.Platform():
				imports = imports || a.Writes()
				for _, n := range c.Nodes {
					at(n.PlatformAddress)
				}
			default:
				nodes(c)
			}
		}
		if f.Probes {
			nodes(c)
			if len(c.DNS) > 0 {
				let("udp", "53")
				let("tcp", "53")
			}
		}
	}
	if f.Knocks {
		for i := range m.Clusters {
			for _, port := range check.PortsOf(&m.Clusters[i]) {
				let("tcp", strconv.Itoa(port))
			}
		}
	}
	if imports { // a certificate is read from its own node, whichever cluster that is of
		for i := range m.Clusters {
			for _, n := range m.Clusters[i].Nodes {
				at(n.Address)
			}
		}
	}
	if f.Probes && slices.ContainsFunc(m.Peers, func(p mesh.Peer) bool { return p.Protocol == mesh.TLSProto }) {
		let("tcp", certificate.PortSIPTLS)
		let("tcp", certificate.PortXMPP)
	}
	slices.SortFunc(out, func(a, b environment.Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
	})
	return out
}

// way is the security group by which a function reaches the clusters; nil if it
// has no business there. It stands beside the functions' common group, which
// leads to AWS.
func (b *builder) way(f Function) awsec2.CfnSecurityGroup {
	var egress []any
	for _, p := range b.env.Network.OnPremises {
		for _, port := range reaches(b.env.Mesh, f) {
			egress = append(egress, &awsec2.CfnSecurityGroup_EgressProperty{
				CidrIp: jsii.String(p.String()), IpProtocol: jsii.String(port.Protocol), FromPort: jsii.Number(port.Number), ToPort: jsii.Number(port.Number),
				Description: jsii.String(port.What),
			})
		}
	}
	if len(egress) == 0 {
		return nil
	}
	return awsec2.NewCfnSecurityGroup(b.stack, jsii.String(f.id()+"Group"), &awsec2.CfnSecurityGroupProps{
		VpcId: b.net.vpc, GroupDescription: jsii.String(fmt.Sprintf("Peerkeeper %s: %s to the clusters", b.env.Name, f.Name)),
		SecurityGroupEgress: egress, Tags: named(b.name(f.Name)),
	})
}
