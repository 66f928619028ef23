package certificate

import (
	"slices"
	"strings"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// Reasons of what is judged of certificates, besides those that conditions
// have in common. Each finding's reason is a row of Kinds.
const (
	// Of findings on one certificate.
	CertificateNotYetValid peer.Reason = "CertificateNotYetValid"
	CertificateRenewed     peer.Reason = "CertificateRenewed"
	IssuerChanged          peer.Reason = "CertificateIssuerChanged"
	NodeRenamed            peer.Reason = "NodeRenamed"
	DomainRenamed          peer.Reason = "DomainRenamed"
	EntryReused            peer.Reason = "EntryReused"
	NameMismatch           peer.Reason = "NameMismatch"
	AddressNotInCert       peer.Reason = "AddressNotInCertificate"
	NameInCNOnly           peer.Reason = "NameInCNOnly"
	NotAHostName           peer.Reason = "NotAHostName"
	NodeNotInMultiServer   peer.Reason = "NodeNotInMultiServer"
	ChainIncomplete        peer.Reason = "ChainIncomplete"
	ChainExpired           peer.Reason = "ChainCertificateExpired"
	// PeerkeeperGoesBlind: a root in tls.ca ends, and nothing else there vouches.
	PeerkeeperGoesBlind peer.Reason = "PeerkeeperGoesBlind"
	CAUnreadable        peer.Reason = "CAUnreadable"
	// SourcesDiffer: what a node serves to Peerkeeper is not what its certificate
	// management names.
	SourcesDiffer            peer.Reason = "CertificateSourcesDiffer"
	CertificateUntrustedHere peer.Reason = "CertificateUntrustedHere"
	WeakKey                  peer.Reason = "WeakKey"
	WeakSignature            peer.Reason = "WeakSignature"
	WrongKeyUsage            peer.Reason = "WrongKeyUsage"
	NoClientAuth             peer.Reason = "NoClientAuth"
	SelfSigned               peer.Reason = "SelfSigned"
	ECDSAMissing             peer.Reason = "ECDSAMissing"
	NotServedYet             peer.Reason = "RenewedButNotServed"

	// Of findings on a server's behaviour, besides those that peersync has in common.
	HandshakeTimeout peer.Reason = "HandshakeTimeout"
	OnlyWeakSuites   peer.Reason = "OnlyWeakSuites"
	PortNotTLS       peer.Reason = "PortNotDirectTLS"

	// Of findings on trust stores.
	NotTrustedByPeers peer.Reason = "NotTrustedByPeers"
	NotReplicated     peer.Reason = "NotReplicated"
	SameSubjectOther  peer.Reason = "SameSubjectOtherKey"
	LeafInStore       peer.Reason = "CASignedLeafInTrustStore"
	CAConflict        peer.Reason = "CAConflict"
	CAExpires         peer.Reason = "TrustedCAExpires"
	EmptyStoreEntries peer.Reason = "EmptyTrustStoreEntries"
	TrustStoreUnread  peer.Reason = "TrustStoreNotRead"
	PlatformRejected  peer.Reason = "PlatformAccountRejected"
	Before14          peer.Reason = "BeforeRelease14"

	// Of findings on names.
	DNSServerLame peer.Reason = "DNSServerLame"
	PTRMissing    peer.Reason = "PTRMissing"
	PTRMismatch   peer.Reason = "PTRMismatch"

	// MoreFindings stands for those beyond what one item can hold.
	MoreFindings peer.Reason = "MoreFindings"
)

// Kind is one row of the table of findings on certificates.
type Kind struct {
	Reason   peer.Reason
	Severity peer.Severity // critical, warning, info; an expiry's rises as time runs out
	Means    string        // what it means for peering
	// Fix is what to click or run. {node}, {service}, {store} and
	// {server} are filled in.
	Fix string
}

// Places and steps that several rows share. Menus are those of Cisco's guides.
const (
	certificatePage = "on {node}, " + procedure.CertificateManagement
)

// Steps that several rows share, as procedure has them.
var (
	renew   = below("{service}") + ": generate or upload a new certificate; before it is served (by a restart of {server}), give it to every peer cluster's {store} (`peerkeeper check certs --peer A:B` lists the steps in order)"
	reissue = below("{service}") + ": generate a new one; "
	resync  = procedure.ResyncCertificates("every peer cluster", "the peer").Line()
	rename  = "compare " + procedure.Menus(procedure.PresenceTopology) + " of the cluster; set the peer address on every peer cluster (" + procedure.Menus(procedure.InterClustering) + ") and the names in mesh.yaml to the new "
)

// below is a way on from the node's certificate page.
func below(names ...string) string { return procedure.Below(certificatePage, names...) }

// Kinds is the table: every finding on certificates and their names,
// each declared here and nowhere else. Ids are the reason, the node and the key
// type, joined by colons.
func Kinds() []Kind {
	return []Kind{
		{peer.CertificateExpired, peer.Critical, "every cluster that pulls from the node is refused", renew},
		{peer.CertificateExpiring, peer.Warning, "on that day every peer that pulls from the cluster stops", renew},
		{CertificateNotYetValid, peer.Critical, "peers refuse it until its first day", reissue + "check the node's clock first (utils ntp status)"},
		{peer.CertificateNotRead, peer.Warning, "what the node serves is not known", "check that the node is up and that the port is open from Peerkeeper"},
		{peer.CertificateChanged, peer.Info, "it was regenerated with a new key; peers need the new one", resync},
		{CertificateRenewed, peer.Info, "it was renewed with the key it had; peers that hold the former one need the new one", resync},
		{IssuerChanged, peer.Info, "another issuer vouches for it; peers need what vouches for it now", "signed by a CA now: upload that CA's certificates, never the leaf, to {store} on every peer cluster; self-signed now: " + resync},
		{NodeRenamed, peer.Warning, "a host was renamed or replaced; peers still know the old name", rename + "node name, then " + resync},
		{DomainRenamed, peer.Warning, "the domain was renamed; peers still know the old names", rename + "ones, see that the peers' DNS has them, then " + resync},
		{EntryReused, peer.Warning, "another cluster answers under this node's address; peers hold the former one's certificates", "if that is meant, correct mesh.yaml and " + resync + "; if not, find out who answers there"},
		{NameMismatch, peer.Warning, "clients that check names refuse it", reissue + "the node name must be among its subject alternative names"},
		{AddressNotInCert, peer.Info, "the node's name is an address, which the certificate does not carry; only a pin vouches for the node", "nothing, if the certificate is pinned; else `peerkeeper trust accept {node} SHA256`"},
		{NameInCNOnly, peer.Warning, "newer clients look at alternative names only", reissue + "the node name must be among its subject alternative names"},
		{NotAHostName, peer.Warning, "ICSA resolves every name in a peer's certificate, and none of these can be found", reissue + "type the alternative names again, without blanks, addresses of mail or of pages"},
		{peer.ValueTooLong, peer.Warning, "what is beyond the bound is not looked at, and so not known", "look at what answers there: such a value is damaged, or somebody chose it"},
		{NodeNotInMultiServer, peer.Warning, "the node cannot serve the cluster's certificate", below("Generate CSR", "{service}") + ", Distribution Multi-server (SAN): the list must hold every node"},
		{ChainIncomplete, peer.Warning, "peers that do not know the issuer refuse it", below("Upload Certificate/Certificate chain") + ", {store}: the missing CA certificates; then restart {server}"},
		{ChainExpired, peer.Warning, "peers that need this CA refuse the leaf", "obtain the CA's new certificate and upload it to {store} on every cluster"},
		{PeerkeeperGoesBlind, peer.Warning, "peering need not suffer; from that day nobody watches this cluster", "get the CA's new root certificate from the people who run the CA, add it to the file that tls.ca names (the present one stays until it has ended), and see that `peerkeeper check certs --now` is content"},
		{CAUnreadable, peer.Warning, "nodes that only this CA vouches for are not trusted by Peerkeeper", "export that CA's certificate again, as PEM, and put it into the file that tls.ca names in the place of the one that cannot be read"},
		{SourcesDiffer, peer.Warning, "something on Peerkeeper's way may show a certificate of its own, or the node has not been restarted since it got another; what is served is put into no store", "compare both with `show cert own {service}` on the CLI of {node}; look for an inspecting proxy or a load balancer between Peerkeeper and {node}; if the node itself was renewed: utils service restart Cisco Tomcat"},
		{CertificateUntrustedHere, peer.Warning, "Peerkeeper does not log in there; peering itself need not suffer", "compare the fingerprint on the node (show cert own {service}), then `peerkeeper trust accept {node} SHA256`, or add the CA to tls.ca in mesh.yaml"},
		{WeakKey, peer.Warning, "newer releases refuse it", reissue + "key length 2048 or more"},
		{WeakSignature, peer.Warning, "newer releases refuse it", reissue + "hash algorithm SHA256 or better"},
		{WrongKeyUsage, peer.Critical, "handshakes fail: it may not serve TLS", reissue + "have the CA sign with key usage digitalSignature and extended key usage serverAuth and clientAuth"},
		{NoClientAuth, peer.Info, "a node that is a client of its peers may be refused by them", "have the CA's template allow client authentication at the next renewal"},
		{SelfSigned, peer.Info, "as installed; every renewal must reach every peer", "nothing; a CA-signed certificate would make renewals easier"},
		{ECDSAMissing, peer.Warning, "peers that negotiate ECDSA are refused where RSA works", "exchange tomcat-ECDSA as tomcat was: upload it to {store} where it is missing, or " + resync},
		{NotServedYet, peer.Warning, "a new certificate is installed, the old one is still served", "when every peer trusts the new one (`peerkeeper check certs --trust`): utils service restart Cisco Tomcat on {node}"},

		{peer.NotTLS, peer.Warning, "no TLS on the port: peers cannot pull", "check what listens there (show network status on the CLI of {node})"},
		{HandshakeTimeout, peer.Warning, "the handshake does not end: what serves the port hangs or is starting", "utils service list on the CLI of {node}; restart {server} if it stays"},
		{peer.ChainTooBig, peer.Warning, "more than 64 KiB or ten certificates are served", certificatePage + ": remove what does not belong to the chain"},
		{peer.CertificateUnparsable, peer.Warning, "a served certificate cannot be read", reissue + "the present one is damaged or uses something unknown"},
		{peer.HandshakeFailed, peer.Warning, "the handshake fails", "utils service list on the CLI of {node}; look at the log of {server}"},
		{peer.ProtocolTooOld, peer.Warning, "nothing newer than TLS 1.1: newer releases and Peerkeeper refuse it", "set tls min-version 1.2 on the CLI of {node}"},
		{peer.ClientCertificateRequired, peer.Warning, "the port ends connections that bring no certificate: ICSA's AXL cannot work so", "utils service list on the CLI of {node}; a proxy in between is the usual reason"},
		{OnlyWeakSuites, peer.Warning, "only suites that clients no longer offer", "on {node}, " + procedure.CipherManagement},
		{PortNotTLS, peer.Info, "the port starts in clear text (XMPP turns to TLS later), so its certificate is not seen there", "nothing; with certificate REST (release 14 and later, platformCredentials) it is read all the same"},

		{NotTrustedByPeers, peer.Critical, "these clusters do not have the certificate in their trust store", "upload it by hand as `peerkeeper check certs --trust` lists it, or " + resync},
		{peer.TrustNotReloaded, peer.Critical, "these clusters hold the certificate by now, and ICSA there may not have read it: syncs still fail", procedure.RestartService("the publisher of each cluster named", peer.ICSA).Line() + " (`peerkeeper plan` asks for it, with approval, if the next sync does not succeed)"},
		{NotReplicated, peer.Warning, "the store of this node lacks what its publisher has", "utils service restart Platform Administrative Web Service on {node}; if it stays, upload the certificate there"},
		{SameSubjectOther, peer.Info, "the store holds a certificate of the same name with another key: an old copy", below("{store}") + ": after the new one is there, delete the old one (Peerkeeper deletes nothing)"},
		{LeafInStore, peer.Info, "the store holds CA-signed leaves; the CA alone is enough, and they go stale (Cisco: ICSACertificateCASignedTrustCertFound)", procedure.Below(procedure.CertificateManagement, "{store}") + ": they may be deleted once the CA is there (Peerkeeper deletes nothing)"},
		{CAConflict, peer.Critical, "two CAs of one name with different keys (Cisco: ICSACertificateCAConflict)", "stop ICSA on all nodes, delete the wrong one on every node, reload, start ICSA (Peerkeeper deletes nothing)"},
		{CAExpires, peer.Warning, "what it vouches for is refused from that day", "obtain the CA's new certificate and upload it to {store}"},
		{EmptyStoreEntries, peer.Info, "the store lists entries in which nothing is; whom the cluster trusts is known all the same", "nothing; " + below("{store}") + ": entries without a certificate may be deleted (Peerkeeper deletes nothing)"},
		{TrustStoreUnread, peer.Info, "whom the cluster trusts is not known; what its syncs show is", "on release 14 and later: platformCredentials in mesh.yaml, port 443 open from Peerkeeper"},
		{PlatformRejected, peer.Warning, "the OS administrator's account was refused and is not tried again", "put the right password into the secret, or `peerkeeper resume CLUSTER`"},

		{peer.SANNotResolving, peer.Critical, "ICSA resolves every name in a peer's certificate and refuses the peer if one fails", "add the records to the DNS server named, or leave the name out at the next renewal"},
		{DNSServerLame, peer.Warning, "the server knows nothing of the names' zone and asks nobody; the nodes lose time on it and ask the next one", "give the server the zone or a forwarder for it, or take it out of the nodes' DNS servers and of mesh.yaml"},
		{PTRMissing, peer.Info, "the address leads to no name", "add the PTR records"},
		{PTRMismatch, peer.Info, "the address leads to another name", "correct the PTR records"},
		{peer.DNSServerSilent, peer.Warning, "each look-up waits for it, which Cisco's page shows as \"Not reachable\"", "repair the server, or give the nodes another one"},

		{MoreFindings, peer.Info, "there are more than are listed", "mend these first: the others come forward"},
	}
}

// completed gives a finding its reason and what the table says of it: severity
// (unless it has risen) and fix, and its id unless it has one. identity is the
// service that the certificate belongs to, "" for tomcat of the key type.
func completed(f peer.Finding, reason peer.Reason, identity string) peer.Finding {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Reason == reason })
	if i < 0 {
		panic("certificate: no row for finding " + reason) // a mistake in the program: every reason is a constant
	}
	k := kinds[i]
	f.Reason = k.Reason
	if f.Severity == "" {
		f.Severity = k.Severity
	}
	if identity == "" {
		identity = Place{KeyType: f.KeyType}.Service()
	}
	node := string(f.Node)
	if node == "" {
		node = "the node"
	}
	f.Fix = strings.NewReplacer("{node}", node, "{service}", identity, "{store}", StoreOf(identity), "{server}", servedBy(identity)).Replace(k.Fix)
	if f.ID == "" {
		f.ID = peer.IDOf(f.Reason, string(f.Node), f.KeyType)
	}
	return f
}

// NewFinding makes a finding of the table's kind. service is the identity it
// is about ("cup-xmpp"); "" means tomcat of the key type.
func NewFinding(reason peer.Reason, node mesh.NodeName, keyType, service, message string) peer.Finding {
	return completed(peer.Finding{Node: node, KeyType: keyType, Message: message}, reason, service)
}

// servedBy names what must be restarted before a new identity certificate is
// served.
func servedBy(service string) string {
	switch StoreOf(service) {
	case "cup-trust":
		return "Cisco SIP Proxy and Cisco Presence Engine"
	case "cup-xmpp-trust":
		return "Cisco XCP Router (it drops the node's users: in a window)"
	}
	return "Cisco Tomcat"
}
