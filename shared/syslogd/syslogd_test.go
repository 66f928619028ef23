package syslogd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func TestFramings(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, c := range []struct {
		name, stream string
		want         []string
	}{
		{"line ends", "<189>a\n<189>b\r\n", []string{"<189>a", "<189>b"}},
		{"octet counts", "6 <189>a7 <189>bc", []string{"<189>a", "<189>bc"}},
		{"both in turns, and a line end inside a count", "6 <189>a<189>b\n8 <189>c\nd", []string{"<189>a", "<189>b", "<189>c\nd"}},
		{"a line end after each count", "7 <189>a\n7 <189>b\n", []string{"<189>a", "<189>b"}},
		{"NUL for a line end", "<189>a\x00\n", []string{"<189>a"}},
		{"Cisco's own number is no count", "62: host: text\n7 days\n", []string{"62: host: text", "7 days"}},
		{"a number alone", "7\n\n8", []string{"7", "8"}},
		{"the last without an end", "<189>a\n<189>b", []string{"<189>a", "<189>b"}},
		{"a long line is passed over", "<1>" + long + "\n<189>b\n", []string{"too long", "<189>b"}},
		{"so is a long count", "103 <1>" + long + "6 <189>b", []string{"too long", "<189>b"}},
		{"a count that is cut off", "60 <189>b", []string{"unexpected EOF"}},
		{"a count beyond all bounds", "9999999 <189>b", []string{"a line of 9999999 bytes"}},
	} {
		for kind, r := range map[string]io.Reader{"": strings.NewReader(c.stream), " byte by byte": iotest.OneByteReader(strings.NewReader(c.stream))} {
			t.Run(c.name+kind, func(t *testing.T) {
				if got := framed(r); !slices.Equal(got, c.want) {
					t.Errorf("%q, want %q", got, c.want)
				}
			})
		}
	}
}

func framed(r io.Reader) (out []string) {
	f := frames{r: bufio.NewReaderSize(r, 64+maxCount), max: 64}
	for {
		line, err := f.next()
		if errors.Is(err, errTooLong) {
			out = append(out, "too long")
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return append(out, err.Error())
		}
		if line = trimmed(line); len(line) > 0 {
			out = append(out, string(line))
		}
		if err != nil {
			return out
		}
	}
}

func FuzzFrames(f *testing.F) {
	for _, s := range []string{"<189>a\n", "6 <189>a", "99 <", "1", "12345678 <", "7 \n", strings.Repeat("1", 200)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole := framed(bytes.NewReader(stream))
		if got := framed(iotest.OneByteReader(bytes.NewReader(stream))); !slices.Equal(got, whole) {
			t.Errorf("%q in one piece, %q byte by byte", whole, got)
		}
		for _, line := range whole {
			if len(line) > 64 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
	})
}

// taker keeps what it is given.
type taker struct {
	*Server
	mu    sync.Mutex
	lines map[string]int
	n     int
}

func open(t *testing.T, limits Limits) *taker {
	t.Helper()
	s, err := Open(Config{Address: "127.0.0.1:0", Limits: limits, Known: func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.1") },
		Wanted: func(line []byte) bool { return bytes.Contains(line, []byte("UC_ICSA")) }})
	if err != nil {
		t.Fatal(err)
	}
	k := &taker{Server: s, lines: map[string]int{}}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- s.Serve(ctx, func(line []byte, _ netip.Addr) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.lines[string(line)]++
			k.n++
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return k
}

func (k *taker) taken() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.n
}

func (k *taker) dial(t *testing.T, network string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, k.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// eventually waits for what another goroutine brings about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestLinesComeOverUDPAndTCP(t *testing.T) {
	k := open(t, Limits{})
	fmt.Fprint(k.dial(t, "udp"), "<189>1: UC_ICSA by datagram")
	tcp := k.dial(t, "tcp")
	fmt.Fprint(tcp, "<189>2: UC_ICSA by line\n31 <189>3: UC_ICSA by octet count!something else\n")
	eventually(t, "three lines", func() bool { return k.taken() == 3 })
	for _, want := range []string{"<189>1: UC_ICSA by datagram", "<189>2: UC_ICSA by line", "<189>3: UC_ICSA by octet count!"} {
		if k.lines[want] != 1 {
			t.Errorf("%q came %d times: %v", want, k.lines[want], k.lines)
		}
	}
	eventually(t, "what nobody wants is counted", func() bool { return k.passed.Load() == 1 })
	if lost := k.Lost(); lost != (Lost{}) {
		t.Errorf("lost: %+v", lost)
	}
}

func TestStrangersAreNotRead(t *testing.T) {
	s, err := Open(Config{Address: "127.0.0.1:0", Known: func(netip.Addr) bool { return false }, Wanted: func([]byte) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, func([]byte, netip.Addr) { t.Error("a line was taken") }) }()
	udp, err := net.Dial("udp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	fmt.Fprint(udp, "<189>x")
	tcp, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	if _, err := io.ReadAll(tcp); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	eventually(t, "both are counted", func() bool { return s.refused.Load() == 2 })
	if lost := s.Lost(); lost.RefusedFrom != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("%+v", lost)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestConnectionsAreBounded in number: a quarter may come from one sender.
func TestConnectionsAreBounded(t *testing.T) {
	k := open(t, Limits{Connections: 8, Idle: time.Hour})
	for range 6 {
		k.dial(t, "tcp")
	}
	eventually(t, "those beyond a quarter are refused", func() bool { return k.dropped.Load() == 4 })
	k.Server.mu.Lock()
	defer k.Server.mu.Unlock()
	if len(k.conns) != 2 {
		t.Errorf("%d connections are open, a quarter of 8 may come from one sender", len(k.conns))
	}
}

// TestConnectionsEnd: in how long they are idle, and in how long a line may take.
func TestConnectionsEnd(t *testing.T) {
	k := open(t, Limits{Connections: 8, Idle: 200 * time.Millisecond, Begun: 200 * time.Millisecond})
	for _, begun := range []string{"", "<189>half a li", "500 <189>half a li"} {
		c := k.dial(t, "tcp")
		fmt.Fprint(c, begun)
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %q it is still open: %v", begun, err)
		}
		eventually(t, "its place is free", func() bool { k.Server.mu.Lock(); defer k.Server.mu.Unlock(); return len(k.conns) == 0 })
	}
}

// TestAFloodIsBounded: 100,000 datagrams and lines as fast as they can be sent. What
// is held does not grow, TCP loses nothing, and each datagram is taken or counted,
// but for what the kernel has not told yet.
func TestAFloodIsBounded(t *testing.T) {
	k := open(t, Limits{Sender: 1 << 30, Datagrams: 1 << 30})
	line := "<189>7: imp1.emea.example.com: Nov 27 2026 09:00:00 AM.000 UTC :  %UC_ICSA-6-InterClusterSyncAgentStatus: %[remotePeerAddress=imp1.apac.example.com][App ID=x][Cluster ID=][Node ID=imp1]: Periodic sync completed successfully."
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	udp, tcp := k.dial(t, "udp"), k.dial(t, "tcp")
	const each = 50_000
	var wg sync.WaitGroup
	wg.Go(func() {
		w := bufio.NewWriter(tcp)
		for i := range each {
			fmt.Fprintf(w, "%d <189>t%06d UC_ICSA", 20, i)
		}
		w.Flush()
	})
	for range each {
		udp.Write([]byte(line)) // a full socket refuses
	}
	wg.Wait()
	eventually(t, "every line of TCP", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.n-k.lines[line] == each
	})
	eventually(t, "the queue is empty", func() bool { return len(k.queue) == 0 })
	runtime.GC()
	runtime.ReadMemStats(&after)
	lost := k.Lost()
	k.mu.Lock()
	defer k.mu.Unlock()
	t.Logf("of %d datagrams %d were taken, %d dropped for want of room, %d lost by the kernel", each, k.lines[line], lost.Dropped, lost.Kernel)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

// TestTwentyThousandLinesASecond: at that rate, of which a mesh of thirty clusters
// has one a second, no line is lost. The sender is never further ahead than what a
// system of usual settings keeps, however late the reader's turn comes.
func TestTwentyThousandLinesASecond(t *testing.T) {
	k := open(t, Limits{})
	udp := k.dial(t, "udp")
	const rate, batch = 20_000, 100
	line := []byte("<189>7: imp1.emea.example.com: %UC_ICSA-6-InterClusterSyncAgentStatus: %[remotePeerAddress=imp1.apac.example.com]: Periodic sync completed successfully.")
	began := time.Now()
	for sent := batch; sent <= rate; sent += batch {
		next := time.NewTimer(time.Second * batch / rate)
		for range batch {
			udp.Write(line)
		}
		<-next.C
		eventually(t, "what was sent is taken or lost", func() bool { return int64(k.taken())+k.dropped.Load() >= int64(sent) })
	}
	t.Logf("%d lines in %s", k.taken(), time.Since(began).Round(time.Millisecond))
	if lost := k.Lost(); k.taken() != rate || lost != (Lost{}) {
		t.Errorf("%d of %d lines were kept, lost: %+v", k.taken(), rate, lost)
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:514": "", "localhost:0": "", ":514": "", "[::1]:514": "", "0.0.0.0:1514": "",
		"514": "no address with a port", "127.0.0.1": "no address with a port", "host.example.com:514": "no IP address", "127.0.0.1:syslog": "no number", "": "no address",
	} {
		err := Check(address)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", address, err, want)
		}
	}
	k := open(t, Limits{})
	if _, err := Open(Config{Address: k.Addr().String()}); err == nil || !strings.Contains(err.Error(), "rsyslogd") {
		t.Errorf("a port that is taken: %v", err)
	}
	if k.Notes() != nil {
		t.Error("a warning about the loopback")
	}
}
