package peer

import (
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
)

// certcheck reads the port that peersync gets no answer from: that is the finding, and no outage is made of it.
func TestWhatCertcheckReadsIsNotDown(t *testing.T) {
	for _, tt := range []struct {
		name string
		read time.Duration // ago
		want VisibilityVerdict
		why  Reason
	}{
		{"read since", 2 * time.Hour, NotVisible, ReadByCertcheckOnly},
		{"read before it was lost", 9 * time.Hour, Down, ClusterDown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene("emea", "apac")
			s.outage(5 * time.Hour)
			s.CertificateRead = map[mesh.ClusterID]map[mesh.NodeName]time.Time{"apac": {pub("apac"): ago(tt.read)}}
			got := s.View().Visibility("apac")
			if got.Verdict != tt.want || got.Trouble != tt.why {
				t.Fatalf("%+v, want %s %s", got, tt.want, tt.why)
			}
			if tt.why == ReadByCertcheckOnly && !strings.Contains(got.Message, "certcheck") {
				t.Errorf("message %q", got.Message)
			}
		})
	}
}

func TestARefusalOfTLSIsOurTroubleAndNoSilence(t *testing.T) {
	for _, why := range []Reason{NoCommonCipherSuite, ClosedInHandshake, ProtocolTooOld, ClientCertificateRequired, CertificateUnparsable, NotTLS, HandshakeFailed} {
		s := newScene("emea", "apac")
		r := s.apac()
		r.Seen.Access = Unknown[bool](why, "as it is")
		if got := s.View().Visibility("apac"); got.Verdict != AccessDenied || got.Trouble != why {
			t.Errorf("%s: %+v", why, got)
		}
	}
}
