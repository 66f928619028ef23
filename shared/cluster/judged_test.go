package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/axl"
	"peerkeeper/shared/certmgr"
	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/controlcenter"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
)

// Of a write that failed it is known that it was refused, or that nothing was sent,
// or it may have happened: then it is read back before anything else.
func TestWhatAFailedWriteMayHaveDone(t *testing.T) {
	kind := func(k soap.Kind) error { return fmt.Errorf("restarting: %w", &soap.Error{Kind: k}) }
	services, stores := &ServiceController{}, &TrustStoreWriter{}
	for _, c := range []struct {
		name string
		err  error
		by   interface {
			Refused(error) bool
			Uncertain(error) bool
		}
		refused, uncertain bool
	}{
		{"nothing failed", nil, services, false, false},
		{"the account is rejected", kind(soap.AccountRejected), services, true, false},
		{"the account may not", kind(soap.Forbidden), services, true, false},
		{"a fault", kind(soap.Fault), services, true, false},
		{"the service is not there", kind(soap.NotFound), services, true, false},
		{"the version is refused", kind(soap.VersionRefused), services, true, false},
		{"Control Center says no", &controlcenter.RefusedError{}, services, true, false},
		{"Control Center wants it activated first", &controlcenter.ActivateFirstError{}, services, true, false},
		{"the parameter is not one", &axl.KeyError{}, services, true, false},
		{"no connection came about", kind(soap.Unreachable), services, false, false},
		{"the answer was lost", kind(soap.OutcomeUnknown), services, false, true},
		{"nobody knows what it was", errors.New("a panic"), services, false, true},

		{"nothing failed", nil, stores, false, false},
		{"the account is rejected", kind(soap.AccountRejected), stores, true, false},
		{"the account may not", kind(soap.Forbidden), stores, true, false},
		{"a fault", kind(soap.Fault), stores, true, false},
		{"the service is not there", kind(soap.NotFound), stores, true, false},
		{"the node is busy", kind(soap.Throttled), stores, true, false},
		{"what was to be sent is no certificate", &certmgr.InputError{}, stores, false, false},
		{"no connection came about", kind(soap.Unreachable), stores, false, false},
		{"the answer was lost", kind(soap.OutcomeUnknown), stores, false, true},
		{"nobody knows what it was", errors.New("a panic"), stores, false, true},
	} {
		if refused, uncertain := c.by.Refused(c.err), c.by.Uncertain(c.err); refused != c.refused || uncertain != c.uncertain {
			t.Errorf("%T: %s: refused %v, uncertain %v; want %v, %v", c.by, c.name, refused, uncertain, c.refused, c.uncertain)
		}
	}
}

func TestWhatANodesTLSShows(t *testing.T) {
	served := func(serial int64, suite uint16) *tls.ConnectionState {
		return &tls.ConnectionState{CipherSuite: suite, PeerCertificates: []*x509.Certificate{{SerialNumber: big.NewInt(serial)}}}
	}
	const good = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	for _, c := range []struct {
		name string
		tls  *tls.ConnectionState
		want []peer.Reason
	}{
		{"no TLS", nil, nil},
		{"no certificate, as when a session is resumed", &tls.ConnectionState{CipherSuite: good}, nil},
		{"all is well", served(1, good), nil},
		{"the serial number is 0", served(0, good), nil},
		{"it is negative", served(-1, good), []peer.Reason{peer.NegativeSerialNumber}},
		{"RSA key exchange", served(1, tls.TLS_RSA_WITH_AES_256_GCM_SHA384), []peer.Reason{peer.RSAKeyExchangeOnly}},
		{"both", served(-7, tls.TLS_RSA_WITH_AES_256_GCM_SHA384), []peer.Reason{peer.RSAKeyExchangeOnly, peer.NegativeSerialNumber}},
	} {
		if got := weaknesses(c.tls); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Why a service does not run is kept; why it runs is no question.
func TestWhyAServiceDoesNotRunIsKept(t *testing.T) {
	for _, c := range []struct {
		name string
		told controlcenter.Service
		want peer.Service
	}{
		{"started", controlcenter.Service{Status: controlcenter.Started, ReasonCode: controlcenter.ReasonNone, UpTime: time.Hour}, peer.Service{Status: "Started", UpTime: time.Hour}},
		{"started, with the reason of a stop before", controlcenter.Service{Status: controlcenter.Started, ReasonCode: -1069, UpTime: time.Hour}, peer.Service{Status: "Started", UpTime: time.Hour}},
		{"stopped, and a reason is told", controlcenter.Service{Status: controlcenter.Stopped, ReasonCode: -1069, UpTime: -1}, peer.Service{Status: "Stopped", UpTime: -1, Code: -1069}},
		{"stopped, and none is", controlcenter.Service{Status: controlcenter.Stopped, ReasonCode: controlcenter.ReasonNone, UpTime: -1}, peer.Service{Status: "Stopped", UpTime: -1}},
	} {
		if got := serviceOf(c.told); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// A node that gives no connection does not answer; a refusal is an answer; who takes
// a request and hangs is undecided.
func TestWhichFailureIsAnAnswer(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		err     error
		answers bool
		unknown peer.Reason // "" is known
	}{
		{"no connection", &soap.Error{Kind: soap.Unreachable}, false, ""},
		{"silence before a byte was sent", &soap.Error{Kind: soap.Timeout}, false, ""},
		{"silence after the request", &soap.Error{Kind: soap.Timeout, Sent: true}, false, peer.TimedOut},
		{"Peerkeeper gave up", &soap.Error{Kind: soap.Cancelled}, false, peer.NotChecked},
		{"the account is rejected", &soap.Error{Kind: soap.AccountRejected}, true, ""},
		{"TLS is refused", &soap.Error{Kind: soap.TLSRefused}, true, ""},
		{"the node is busy", &soap.Error{Kind: soap.Throttled}, true, ""},
		{"an answer that is none of SOAP's", errors.New("odd"), false, peer.UnreadableAnswer},
	} {
		got := answered(c.err, now)
		if yes, known := got.Get(); known != (c.unknown == "") || known && yes != c.answers || !known && got.Why() != c.unknown {
			t.Errorf("%s: %+v, want %v (%s)", c.name, got, c.answers, c.unknown)
		}
	}
}

// What a file of the log spans is from its first dated line to its last, over all
// the files that were looked into.
func TestWhatLogFilesSpan(t *testing.T) {
	at := func(h int) time.Time { return time.Date(2026, 3, 2, h, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		name        string
		files       []ciscolog.Extent
		first, last int // hours; 0 is not known
	}{
		{"nothing is dated", []ciscolog.Extent{{}}, 0, 0},
		{"one file", []ciscolog.Extent{{First: at(8), Last: at(9)}}, 8, 9},
		{"the copy before it", []ciscolog.Extent{{First: at(8), Last: at(9)}, {First: at(6), Last: at(8)}}, 6, 9},
		{"a later one", []ciscolog.Extent{{First: at(6), Last: at(8)}, {First: at(8), Last: at(9)}}, 6, 9},
		{"and one without a date", []ciscolog.Extent{{First: at(8), Last: at(9)}, {}}, 8, 9},
	} {
		var r LogReport
		for _, x := range c.files {
			r.span(x)
		}
		is := func(got *time.Time, want int) bool {
			return got == nil && want == 0 || got != nil && want != 0 && got.Equal(at(want))
		}
		if !is(r.First, c.first) || !is(r.Last, c.last) {
			t.Errorf("%s: %v to %v, want %d to %d", c.name, r.First, r.Last, c.first, c.last)
		}
	}
}

// TestALogReportCountsFiftyNames: they are the node's to choose. One that it knows
// is counted on.
func TestALogReportCountsFiftyNames(t *testing.T) {
	r := LogReport{Alarms: map[ciscolog.Alarm]int{}}
	for i := range 60 {
		r.count(ciscolog.Event{Facility: ciscolog.ICSA, Alarm: ciscolog.Alarm(fmt.Sprint("alarm", i))}, nil)
	}
	r.count(ciscolog.Event{Facility: ciscolog.ICSA, Alarm: "alarm0"}, nil)
	r.count(ciscolog.Event{Facility: "UC_RTMT", Alarm: "alarm0"}, nil)
	if len(r.Alarms) != maxAlarms || r.Alarms["alarm0"] != 2 || r.Alarms["alarm59"] != 0 {
		t.Errorf("%d names, alarm0 %d times", len(r.Alarms), r.Alarms["alarm0"])
	}
}

// A name from the cluster's catalogue stands in a statement as it is, or not at all.
func TestWhichNamesStandInAStatement(t *testing.T) {
	for name, want := range map[string]bool{
		"peeraddress": true, "PeerAddress2": true, "last_sync": true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false,
		"": false, "_address": false, "2address": false, "a b": false, "a;b": false, "a'b": false, "é": false, "z": true, "Z9": true, "a{": false, "a[": false, "a/": false, "a:": false,
	} {
		if identifier(name) != want {
			t.Errorf("%q: %v, want %v", name, !want, want)
		}
	}
}

func TestNodesOfOneClusterAreAddedUpInABucket(t *testing.T) {
	a, b := peer.Bucket{Users: 2, Weight: 9, Low: "bob", High: "rob"}, peer.Bucket{Users: 3, Weight: 12, Low: "anna", High: "lisa"}
	want := peer.Bucket{Users: 5, Weight: 21, Low: "anna", High: "rob"}
	if got := addBucket(a, b); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := addBucket(peer.Bucket{}, b); got != b {
		t.Errorf("the first node's: %+v, want %+v", got, b)
	}
}

// TestWithoutAQueryNothingIsAsked: a site may take a query away.
func TestWithoutAQueryNothingIsAsked(t *testing.T) {
	c := &Client{cluster: &mesh.Cluster{ID: "emea"}}
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	none := func(what string, err error) {
		t.Helper()
		var refused *Refused
		if !errors.As(err, &refused) || refused.Reason != peer.NoDialect {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, _, err := c.read(t.Context(), purposePeers, nil)
	none("a purpose's rows", err)
	_, err = c.Find(t.Context(), "anne")
	none("a user", err)
	got, err := c.Users(t.Context(), Filter{}, now, nil)
	if none("all users", err); got.Why() != peer.NoDialect {
		t.Errorf("all users: %+v", got)
	}
	q, err := c.probeQuery(t.Context(), purposePeers)
	if err != nil || q.OK || q.Reason != peer.NoDialect {
		t.Errorf("a probe: %+v, %v", q, err)
	}
}
