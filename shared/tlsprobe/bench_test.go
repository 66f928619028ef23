package tlsprobe

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serveForBenchmark in the environment turns the test binary into the server
// that BenchmarkProbe measures against.
const serveForBenchmark = "TLSPROBE_SERVE_FOR_BENCHMARK"

// TestServerOfBenchmark serves in a process of its own, so that the benchmark
// counts the CPU of the client alone. Run as an ordinary test it checks that
// such a process can be had.
func TestServerOfBenchmark(t *testing.T) {
	if os.Getenv(serveForBenchmark) != "" {
		fmt.Println("serving on", serveTLS(t, &tls.Config{Certificates: []tls.Certificate{tomcat(t, RSA), tomcat(t, ECDSA)}, MaxVersion: tls.VersionTLS12}))
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent is gone
		return
	}
	if _, err := (Prober{}).Probe(t.Context(), Target{Address: serverProcess(t)}, RSA); err != nil {
		t.Error(err)
	}
}

func serverProcess(t testing.TB) (address string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(program, "-test.run=^TestServerOfBenchmark$")
	server.Env = append(os.Environ(), serveForBenchmark+"=1")
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := server.Wait(); err != nil {
			t.Errorf("the server process: %v", err)
		}
	})
	said, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(said), "serving on ")
	if err != nil || !ok {
		t.Fatalf("the server process said %q: %v", said, err)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }() // its own PASS
	return address
}

// BenchmarkProbe compares the client's CPU of a probe with that of a bare
// crypto/tls dial of the same handshake, in turns, so that whatever else the
// machine does hits both alike. probe/bare is the figure to watch; the budget is
// 1.15.
func BenchmarkProbe(b *testing.B) {
	address := serverProcess(b)
	for _, keyType := range []KeyType{RSA, ECDSA} {
		b.Run(string(keyType), func(b *testing.B) {
			bare := func() {
				raw, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", address)
				if err != nil {
					b.Fatal(err)
				}
				conn := tls.Client(raw, &tls.Config{
					InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: suitesOf(keyType),
				})
				if err := conn.HandshakeContext(b.Context()); err != nil {
					b.Fatal(err)
				}
				conn.Close()
			}
			probe := func() {
				if _, err := (Prober{}).Probe(b.Context(), Target{Address: address}, keyType); err != nil {
					b.Fatal(err)
				}
			}
			bare()
			probe()
			var bareCPU, probeCPU time.Duration
			for b.Loop() {
				start := ownCPU(b)
				bare()
				middle := ownCPU(b)
				probe()
				bareCPU += middle - start
				probeCPU += ownCPU(b) - middle
			}
			b.ReportMetric(float64(probeCPU)/float64(bareCPU), "probe/bare")
			b.ReportMetric(float64(bareCPU.Microseconds())/float64(b.N), "bare-µs")
			b.ReportMetric(float64(probeCPU.Microseconds())/float64(b.N), "probe-µs")
		})
	}
}

// ownCPU is this process's user and system time.
func ownCPU(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
