package tlsprobe

import (
	"crypto/tls"
	"net"
	"syscall"
	"testing"
	"time"
)

// BenchmarkProbe compares a probe with a bare crypto/tls dial of the same
// handshake, in turns, so that whatever else the machine does hits both alike.
// probe/bare is the ratio to watch (budget: 1.15). The CPU is that of the
// process and so holds the server's half, which both share: the ratio of the
// client's own CPU is further from 1 than it looks, by the factor that
// server-share reports.
func BenchmarkProbe(b *testing.B) {
	cert := tomcat(b, RSA)
	address := serveTLS(b, only(tls.VersionTLS12, cert))
	bare := func() {
		raw, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: suitesOf(RSA)})
		if err := conn.HandshakeContext(b.Context()); err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
	probe := func() {
		if _, err := (Prober{}).Probe(b.Context(), Target{Address: address}, RSA); err != nil {
			b.Fatal(err)
		}
	}
	bare()
	probe()
	var bareCPU, probeCPU time.Duration
	for b.Loop() {
		start := cpu(b)
		bare()
		middle := cpu(b)
		probe()
		bareCPU += middle - start
		probeCPU += cpu(b) - middle
	}
	b.ReportMetric(float64(probeCPU)/float64(bareCPU), "probe/bare")
	b.ReportMetric(float64(bareCPU.Microseconds())/float64(b.N), "bare-µs")
	b.ReportMetric(float64(probeCPU.Microseconds())/float64(b.N), "probe-µs")
}

func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
