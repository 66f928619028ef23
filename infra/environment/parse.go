package environment

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/yamlfile"
)

// format is how NAME.yaml is written. It is read before any mesh.yaml, and an
// account or an ASN is a text or a number as people write it.
var format = yamlfile.Format{
	Holds: "environment", Begin: "account:", MaxBytes: 64 << 10,
	Honest:         yamlfile.Size{What: "an environment", KiB: 2, Lines: 40, Words: 200},
	InsteadOfMerge: "write the keys out",
	EmptyIsAbsent:  true,
	NumbersAreText: true,
}

func parse(name, path string, data []byte, meshPath string) (*Environment, error) {
	env := &Environment{Name: name}
	rep := yamlfile.NewReport(path)
	if root, ok := format.Parse(rep, path, "", data); ok {
		env.read(root)
	}
	m, about, meshErr := meshfile.LoadReport(meshPath)
	env.Mesh = m
	if meshErr == nil && rep.Err() == nil {
		env.agree(about, path)
		meshErr = about.Err()
	}
	var faults yamlfile.Errors
	if meshErr != nil && !errors.As(meshErr, &faults) {
		meshErr = fmt.Errorf("the mesh of environment %s: %w", name, meshErr)
	}
	if err := errors.Join(rep.Err(), meshErr); err != nil {
		return nil, err
	}
	return env, nil
}

func (env *Environment) read(root yamlfile.Value) {
	f := root.Fields("account!", "region!", "production", "tags", "network!", "logs", "table", "alarms", "syslog")
	env.Account = want(f["account"], isAccount, `an account is twelve digits, such as "111122223333"`)
	env.Region = want(f["region"], isRegion, "a region is such as eu-central-1")
	if strings.HasPrefix(env.Region, "cn-") || strings.Contains(env.Region, "-gov-") || strings.Contains(env.Region, "-iso") {
		f["region"].Fail("is in a partition of its own", "only AWS's commercial regions are known to work: names of endpoints and services differ elsewhere")
	}
	env.Production = f["production"].Bool()
	env.Tags = map[string]string{}
	for key, v := range f["tags"].Pairs() {
		env.Tags[key], _ = v.Text()
		if strings.HasPrefix(strings.ToLower(key), "aws:") || len(key) > 128 || len(env.Tags[key]) > 256 || env.Tags[key] == "" || !isTag(key) || !isTag(env.Tags[key]) {
			v.Fail("is no tag", "a key has at most 128 characters and does not begin with aws:, a value 1 to 256; both are of letters, digits, spaces and _ . : / = + - @")
		}
	}
	env.readNetwork(f["network"])
	logs := f["logs"].Fields("retentionDays")
	env.LogDays = 30
	if v := logs["retentionDays"]; v.There() {
		env.LogDays = number(v, 1, 3653)
		if env.LogDays > 0 && !slices.Contains(logRetentions(), env.LogDays) {
			v.Fail("is no retention that CloudWatch Logs knows", fmt.Sprintf("want one of %s", strings.Trim(fmt.Sprint(logRetentions()), "[]")))
		}
	}
	env.Table = "peerkeeper-" + env.Name
	if f["table"].There() {
		env.Table = want(f["table"], isTable, "a table's name has 3 to 255 letters, digits, _ . and -")
	}
	if f["syslog"].There() {
		env.SyslogGroup = want(f["syslog"].Fields("logGroup!")["logGroup"], isGroup, "want the name of a log group that exists, such as /cisco/syslog")
		if strings.HasPrefix(env.SyslogGroup, "/aws/lambda/peerkeeper-") {
			f["syslog"].Fail("is a log of Peerkeeper's own", "a function that is sent its own log is sent it for ever: name the group into which the nodes' lines come")
		}
	}
	for _, v := range f["alarms"].Fields("subscriberAccounts")["subscriberAccounts"].Items() {
		env.Subscribers = append(env.Subscribers, want(v, isAccount, `an account is twelve digits, such as "444455556666"`))
	}
}

// want is a text of a certain form.
func want(v yamlfile.Value, form *regexp.Regexp, cure string) string {
	s, ok := v.Text()
	if ok && !form.MatchString(s) {
		v.Fail(yamlfile.Show(s), cure)
	}
	return s
}

// number is a whole number between two bounds; 0 if there is none.
func number(v yamlfile.Value, low, high int) int {
	n, ok := v.Int()
	if ok && (n < low || n > high) {
		v.Fail("is not such a number", fmt.Sprintf("want %d to %d", low, high))
		return 0
	}
	return n
}

func id(prefix string) *regexp.Regexp {
	return regexp.MustCompile(`^` + prefix + `-[0-9a-f]{8,17}$`)
}

func (env *Environment) readNetwork(v yamlfile.Value) {
	if !v.There() {
		return
	}
	f := v.Fields("create", "attach", "onPremises!", "link!", "dynamodbPrefixList!", "endpoints", "forward")
	n := &env.Network
	switch create, attach := f["create"], f["attach"]; {
	case create.There() && attach.There():
		attach.Fail("stands beside create", "a VPC is either created or attached to: keep one")
	case create.There():
		n.Create = env.readCreate(create)
	case attach.There():
		n.Attach = env.readAttach(attach)
	default:
		v.Fail("no VPC", "say create: {cidr, zones} or attach: {vpc, subnets}")
	}
	for _, i := range f["onPremises"].Items() {
		p := network(i)
		for _, had := range n.OnPremises {
			if p.IsValid() && p.Overlaps(had) {
				i.Fail(p.String()+" overlaps "+had.String(), "name each network once")
			}
		}
		if n.Create != nil && p.IsValid() && n.Create.CIDR.IsValid() && p.Overlaps(n.Create.CIDR) {
			i.Fail(p.String()+" overlaps the VPC's "+n.Create.CIDR.String(), "choose another network for the VPC: addresses of its own are never sent over the link")
		}
		n.OnPremises = append(n.OnPremises, p)
	}
	// Seven rules each at most; a security group has 60 by default (VPC quotas).
	if v := f["onPremises"]; v.There() && (len(n.OnPremises) == 0 || len(n.OnPremises) > 8) {
		v.Fail(fmt.Sprintf("names %d networks", len(n.OnPremises)), "want 1 to 8: each takes up to 7 of a security group's 60 rules; put them together into larger ones")
	}
	n.Link = env.readLink(f["link"])
	n.DynamoDBPrefixList = want(f["dynamodbPrefixList"], id("pl"), "want the id of com.amazonaws."+env.Region+".dynamodb, see: aws ec2 describe-managed-prefix-lists --region "+env.Region)
	env.readEndpoints(f["endpoints"])
	env.readForward(f["forward"])
}

// network is an IPv4 network without host bits.
func network(v yamlfile.Value) netip.Prefix {
	s, ok := v.Text()
	p, err := netip.ParsePrefix(s)
	switch {
	case !ok:
	case err != nil:
		v.Fail(yamlfile.Show(s)+" is no network", "write it as 192.0.2.0/24")
	case !p.Addr().Is4():
		v.Fail(s+" is IPv6", "the link and the security group are IPv4 only: a VPN gateway carries no IPv6")
	case p.Masked() != p:
		v.Fail(s+" has host bits", "did you mean "+p.Masked().String()+"?")
	case p.Bits() == 0:
		v.Fail(s+" is everywhere", "name the clusters' networks")
	default:
		return p
	}
	return netip.Prefix{}
}

func (env *Environment) zone(v yamlfile.Value) string {
	s, ok := v.Text()
	rest, in := strings.CutPrefix(s, env.Region)
	if ok && env.Region != "" && (!in || len(rest) != 1 || rest[0] < 'a' || rest[0] > 'z') {
		v.Fail(yamlfile.Show(s)+" is no zone of "+env.Region, "write it as "+env.Region+"a")
	}
	return s
}

func (env *Environment) readCreate(v yamlfile.Value) *Create {
	f := v.Fields("cidr!", "zones!")
	c := &Create{}
	if f["cidr"].There() {
		c.CIDR = network(f["cidr"])
	}
	for _, z := range f["zones"].Items() {
		name := env.zone(z)
		if slices.Contains(c.Zones, name) {
			z.Fail(name+" is given twice", "name each zone once")
		}
		c.Zones = append(c.Zones, name)
	}
	switch n := len(c.Zones); {
	case !f["zones"].There():
	case n == 0 || n > 4:
		f["zones"].Fail(fmt.Sprintf("names %d zones", n), "want 1 to 4; two outlive the loss of one")
	case c.CIDR.IsValid() && (c.CIDR.Bits() < 16 || c.Subnets()[0].Bits() > 28):
		f["cidr"].Fail(fmt.Sprintf("%s does not give %d subnets of /16 to /28", c.CIDR, n), "a /26 is plenty: functions share addresses")
	}
	return c
}

func (env *Environment) readAttach(v yamlfile.Value) *Attach {
	f := v.Fields("vpc!", "subnets!")
	a := &Attach{VPC: want(f["vpc"], id("vpc"), "want the VPC's id, such as vpc-0a1b2c3d")}
	for _, i := range f["subnets"].Items() {
		s := i.Fields("id!", "zone!", "routeTable")
		one := Subnet{
			ID:         want(s["id"], id("subnet"), "want the subnet's id, such as subnet-0a1b2c3d"),
			RouteTable: want(s["routeTable"], id("rtb"), "want the route table's id, such as rtb-0a1b2c3d"),
		}
		if s["zone"].There() {
			one.Zone = env.zone(s["zone"])
		}
		if slices.ContainsFunc(a.Subnets, func(had Subnet) bool { return had.ID == one.ID }) {
			s["id"].Fail(one.ID+" is given twice", "name each subnet once")
		}
		a.Subnets = append(a.Subnets, one)
	}
	if f["subnets"].There() && len(a.Subnets) == 0 {
		f["subnets"].Fail("names none", "the functions need at least one private subnet, two outlive the loss of a zone")
	}
	return a
}

func (env *Environment) readLink(v yamlfile.Value) Link {
	if !v.There() {
		return Link{}
	}
	const cure = "write existing, {vpn: {…}} or {transitGateway: tgw-…}"
	if v.Kind() != yamlfile.Mapping {
		if s, ok := v.Text(); ok && s != "existing" {
			v.Fail(yamlfile.Show(s)+" is no link", cure)
		} else if ok && env.Network.Create != nil {
			v.Fail("a VPC that is created has no link yet", "write {vpn: {…}} or {transitGateway: tgw-…}")
		}
		return Link{}
	}
	f := v.Fields("vpn", "transitGateway")
	vpn, tgw := f["vpn"], f["transitGateway"]
	if vpn.There() == tgw.There() {
		v.Fail("wants one of vpn and transitGateway", cure)
		return Link{}
	}
	if a := env.Network.Attach; a != nil && slices.ContainsFunc(a.Subnets, func(s Subnet) bool { return s.RouteTable == "" }) {
		v.Fail("routes have to be added, and a subnet names no routeTable", "give each subnet its routeTable, or write link: existing")
	}
	if tgw.There() {
		return Link{TransitGateway: want(tgw, id("tgw"), "want the Transit Gateway's id, such as tgw-0a1b2c3d")}
	}
	g := vpn.Fields("asn", "customerGateway")
	const last = 1<<32 - 1
	out := &VPN{ASN: number(g["asn"], 1, last)}
	if c := g["customerGateway"]; c.There() {
		h := c.Fields("address!", "asn!", "static")
		s, ok := h["address"].Text()
		addr, err := netip.ParseAddr(s)
		if ok && (err != nil || !addr.Is4()) {
			h["address"].Fail("is no IPv4 address", "want the public address of the site's VPN device")
		}
		out.CustomerGateway = &CustomerGateway{Address: addr, ASN: number(h["asn"], 1, last), Static: h["static"].Bool()}
	}
	return Link{VPN: out}
}

func (env *Environment) readEndpoints(v yamlfile.Value) {
	n := &env.Network
	f := v.Fields("zones", "existing", "securityGroup")
	e := &n.Endpoints
	have := env.zones()
	for _, z := range f["zones"].Items() {
		name := env.zone(z)
		if !slices.Contains(have, name) {
			z.Fail("no subnet is in "+name, "want some of "+strings.Join(have, ", "))
		}
		if slices.Contains(e.Zones, name) {
			z.Fail(name+" is given twice", "name each zone once")
		}
		e.Zones = append(e.Zones, name)
	}
	if len(e.Zones) == 0 {
		e.Zones = have
	}
	for _, i := range f["existing"].Items() {
		s, ok := i.Text()
		if ok && !slices.Contains(Services(), s) {
			i.Fail(yamlfile.Show(s)+" is no such service", "want some of "+strings.Join(Services(), ", "))
		}
		e.Existing = append(e.Existing, s)
	}
	e.SecurityGroup = want(f["securityGroup"], id("sg"), "want the group's id, such as sg-0a1b2c3d")
	interfaces := e.Has("secretsmanager") || e.Has("sns")
	switch {
	case n.Create != nil && len(e.Existing) > 0:
		f["existing"].Fail("a VPC that is created has no endpoints yet", "remove the key")
	case interfaces && e.SecurityGroup == "":
		v.Fail("the existing endpoints' group is not named", "give securityGroup: sg-…, whose group lets 443 in from the functions")
	case !interfaces && e.SecurityGroup != "":
		f["securityGroup"].Fail("belongs to no existing endpoint", "remove the key, or name existing: [secretsmanager, sns]")
	}
	if a := n.Attach; a != nil && !e.Has("dynamodb") && slices.ContainsFunc(a.Subnets, func(s Subnet) bool { return s.RouteTable == "" }) {
		v.Fail("DynamoDB's endpoint needs every subnet's routeTable", "give them, or name existing: [dynamodb]")
	}
}

// zones are those the functions' subnets are in.
func (env *Environment) zones() []string {
	if env.Network.Create != nil {
		return env.Network.Create.Zones
	}
	var out []string
	if env.Network.Attach != nil {
		for _, s := range env.Network.Attach.Subnets {
			if !slices.Contains(out, s.Zone) {
				out = append(out, s.Zone)
			}
		}
	}
	return out
}

func (env *Environment) readForward(v yamlfile.Value) {
	for _, i := range v.Items() {
		f := i.Fields("domain!", "servers!")
		domain, _ := f["domain"].Text()
		one := Forward{Domain: strings.TrimSuffix(domain, ".")}
		for _, s := range f["servers"].Items() {
			text, ok := s.Text()
			addr, err := netip.ParseAddr(text)
			switch {
			case !ok:
			case err != nil || !addr.Is4():
				s.Fail("is no IPv4 address", "want a DNS server's, such as 192.0.2.53")
			case !env.Network.reaches(addr):
				s.Fail(addr.String()+" is in none of onPremises", "name its network there")
			}
			one.Servers = append(one.Servers, addr)
		}
		if f["servers"].There() && (len(one.Servers) == 0 || len(one.Servers) > 6) {
			f["servers"].Fail(fmt.Sprintf("names %d servers", len(one.Servers)), "want 1 to 6, which is what a resolver rule holds")
		}
		env.Network.Forward = append(env.Network.Forward, one)
	}
	if len(env.Network.Forward) > 0 && len(env.zones()) < 2 {
		v.Fail("a Route 53 Resolver endpoint needs subnets in two zones", "add a zone, or leave forward out: the functions then ask the clusters' DNS servers themselves")
	}
}

// reaches says whether an address is in the clusters' networks.
func (n *Network) reaches(a netip.Addr) bool {
	return slices.ContainsFunc(n.OnPremises, func(p netip.Prefix) bool { return p.Contains(a) })
}

// agree checks the mesh against the environment: what the security group would
// not let through is found here and not at three in the morning.
func (env *Environment) agree(about *yamlfile.Report, file string) {
	fail := func(path, message, cure string) { about.Fail(path, message, cure) }
	m := env.Mesh
	if m.Simulated {
		fail("simulated", "a simulated mesh cannot be deployed", "use `peerkeeper run`, or name the real clusters")
	}
	if m.Policy.Notify.File != "" {
		fail("policy.notify.file", "a Lambda has no disk", "subscribe to the topic instead")
	}
	allowed := map[string]bool{}
	var tcp []string
	for _, p := range Ports() {
		allowed[p.Protocol+strconv.Itoa(p.Number)] = true
		if p.Protocol == "tcp" {
			tcp = append(tcp, strconv.Itoa(p.Number))
		}
	}
	address := func(path, hostPort, protocol string) {
		host, port, err := splitPort(hostPort, "8443")
		if protocol == "udp" {
			host, port, err = splitPort(hostPort, "53")
		}
		if err != nil {
			return // meshfile has checked it
		}
		if !allowed[protocol+port] {
			fail(path, "port "+port+" is not let out of the functions' security groups", "want one of "+strings.Join(tcp, ", "))
		}
		if a, err := netip.ParseAddr(host); err == nil && !env.Network.reaches(a) {
			fail(path, a.String()+" is in none of network.onPremises", "name its network in "+file)
		}
	}
	for i := range m.Clusters {
		c, at := &m.Clusters[i], fmt.Sprintf("clusters[%d]", i)
		if c.CUCM != nil {
			address(at+".cucm.address", c.CUCM.Address, "tcp")
		}
		for j, n := range c.Nodes {
			address(fmt.Sprintf("%s.nodes[%d].address", at, j), n.Address, "tcp")
			if n.PlatformAddress == "" {
				continue
			}
			path := fmt.Sprintf("%s.nodes[%d].platformAddress", at, j)
			address(path, n.PlatformAddress, "tcp")
			if name, cure := env.unresolved(n); name != "" {
				fail(path, name+" is in none of network.forward, without which a VPC that is created does not find names of the clusters' own DNS", cure)
			}
		}
		for j, s := range c.DNS {
			address(fmt.Sprintf("%s.dns[%d]", at, j), s, "udp")
		}
		for _, a := range mesh.Accounts() {
			if s := a.Secret(c); s != "" && !isSecret.MatchString(s) {
				fail(at+"."+string(a), strconv.Quote(s)+" cannot be a secret's name", "Secrets Manager takes letters, digits and / _ + = . @ -")
			}
		}
	}
}

// unresolved is the name by which a node's platform would be looked for in
// vain, and what would be right. mesh.yaml makes a platform address of the
// node's name where it gives none, also where all else is dialled by IP
// address; and a VPC of our own knows no name but the forwarded ones. What the
// owner of an attached VPC resolves is not known here.
func (env *Environment) unresolved(n mesh.Node) (name, cure string) {
	host, _, err := splitPort(n.Address, "8443")
	if err != nil || env.Network.Create == nil {
		return "", ""
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return "", "" // all of the node is looked for by name
	}
	name, port, err := splitPort(n.PlatformAddress, "443")
	if _, isAddress := netip.ParseAddr(name); err != nil || isAddress == nil {
		return "", ""
	}
	for _, f := range env.Network.Forward {
		if in := strings.ToLower(name); in == strings.ToLower(f.Domain) || strings.HasSuffix(in, "."+strings.ToLower(f.Domain)) {
			return "", ""
		}
	}
	return name, fmt.Sprintf("write platformAddress: %q beside the node's address, or name its domain in network.forward of %s.yaml", address.String()+":"+port, env.Name)
}

// splitPort parts host:port; an address without a port has the default one.
func splitPort(s, standard string) (host, port string, err error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().String(), strconv.Itoa(int(ap.Port())), nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String(), standard, nil
	}
	host, port, ok := strings.Cut(s, ":")
	if !ok {
		return s, standard, nil
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("%q is no port: %w", port, err)
	}
	return host, port, nil
}

// Accounts are the names that a mesh gives to credentials, by kind, each once
// and sorted.
type Accounts map[mesh.Account][]string

// All are the names of every kind; one may be of several.
func (a Accounts) All() []string {
	var out []string
	for _, kind := range mesh.Accounts() {
		out = append(out, a[kind]...)
	}
	return out
}

// isTag reports whether AWS takes a text as a tag's key or value (Tag Editor user
// guide, "Tag naming limits and requirements").
func isTag(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" _.:/=+-@", r)
	})
}

// Secrets are the names that the environment's mesh gives to credentials.
func (env *Environment) Secrets() Accounts {
	out := Accounts{}
	for i := range env.Mesh.Clusters {
		for _, a := range mesh.Accounts() {
			if name := a.Secret(&env.Mesh.Clusters[i]); name != "" {
				out[a] = append(out[a], name)
			}
		}
	}
	for a, names := range out {
		slices.Sort(names)
		out[a] = slices.Compact(names)
	}
	return out
}
