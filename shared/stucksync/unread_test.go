package stucksync_test

import (
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
)

// The two key types on 8443.
var onRSA = certificate.Place{KeyType: "RSA"}

// TestUnreadCertificatesClearNothing: what cannot be read any more, and for longer
// than a look is good for, may have been renewed; nobody knows, so nobody says.
func TestUnreadCertificatesClearNothing(t *testing.T) {
	const pub, sub = mesh.NodeName("imp-apac-pub.example.com"), mesh.NodeName("imp-apac-sub.example.com")
	old := func(at time.Time) certificate.Served {
		return certificate.Served{Fingerprint: "sha256:1", Subject: "CN=imp-apac-pub-ms.example.com", NotAfter: start.AddDate(0, 0, 20), Read: at}
	}
	renewed := func(at time.Time) certificate.Served {
		s := old(at)
		s.Fingerprint, s.NotAfter = "sha256:2", start.AddDate(2, 0, 0)
		return s
	}
	hangs := func(s certificate.Served) certificate.Served {
		s.Read, s.Error = start.Add(-48*time.Hour), "handshake timeout"
		return s
	}
	type certs = map[mesh.NodeName]map[certificate.Place]certificate.Served
	for _, c := range []struct {
		name          string
		begin, unread func(r *certificate.Record, at time.Time)
		over          func(r *certificate.Record, at time.Time)
	}{
		{"the node that serves it",
			func(r *certificate.Record, at time.Time) { r.Served = certs{pub: {onRSA: old(at)}} },
			func(r *certificate.Record, at time.Time) { r.Served = certs{pub: {onRSA: hangs(old(at))}} },
			func(r *certificate.Record, at time.Time) { r.Served = certs{pub: {onRSA: renewed(at)}} }},
		{"a port besides 8443",
			func(r *certificate.Record, at time.Time) {
				r.Ports = certs{sub: {{Port: "5061", KeyType: "RSA"}: old(at)}}
			},
			func(r *certificate.Record, at time.Time) {
				r.Ports = certs{sub: {{Port: "5061", KeyType: "RSA"}: hangs(old(at))}}
			},
			func(r *certificate.Record, at time.Time) {
				r.Ports = certs{sub: {{Port: "5061", KeyType: "RSA"}: renewed(at)}}
			}},
		{"one of two nodes, while the other has the new one already",
			func(r *certificate.Record, at time.Time) {
				r.Served = certs{pub: {onRSA: old(at)}, sub: {onRSA: old(at)}}
			},
			func(r *certificate.Record, at time.Time) {
				r.Served = certs{pub: {onRSA: renewed(at)}, sub: {onRSA: hangs(old(at))}}
			},
			func(r *certificate.Record, at time.Time) {
				r.Served = certs{pub: {onRSA: renewed(at)}, sub: {onRSA: renewed(at)}}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := play(t, "emea", "apac")
			c.begin(s.certs["apac"], s.now)
			s.tick()
			s.expect("begun", alarm.CertificateExpiring+" apac")
			c.unread(s.certs["apac"], s.now)
			for range 4 {
				s.now = s.now.Add(12 * time.Hour)
				s.tick()
				s.expect("not known", alarm.CertificateExpiring+" apac")
			}
			c.over(s.certs["apac"], s.now)
			s.tick()
			s.expect("renewed")
			if len(s.heard) != 2 || s.heard[0].State != alarm.Raised || s.heard[1].State != alarm.Cleared {
				t.Errorf("heard %+v, want one raised and one cleared", s.heard)
			}
		})
	}
}
