package soap

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// What no server could show: a proxy that HTTPS_PROXY names gets no password, and a write has no connection to reuse.
func TestTransportIsOursAlone(t *testing.T) {
	n := newNode(t, issue(t, nil, nil), ok)
	wire := NewTransport(n.endpoint())
	defer wire.Close()
	reads, writes := wire.reads.(*http.Transport), wire.writes.(*http.Transport)
	for name, got := range map[string]*http.Transport{"reads": reads, "writes": writes} {
		if got.Proxy != nil || !got.DisableCompression || !got.TLSClientConfig.SessionTicketsDisabled || got.TLSClientConfig.VerifyConnection == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if reads == writes || reads.DisableKeepAlives || !writes.DisableKeepAlives {
		t.Error("a write may reuse a connection, or a read may not")
	}
	for _, text := range []string{fmt.Sprint(wire), fmt.Sprintf("%+v %#v %x", wire, wire, wire)} {
		if strings.Contains(text, "correct") || strings.Contains(text, "reader") {
			t.Errorf("%q", text)
		}
	}
}

// The node answers one request per connection, reads the next one on it and closes without an answer. net/http may send a read of any
// protocol again, and does; a write must never be where it could.
func TestCallIsSentAtMostOnceIfItWrites(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		for _, tt := range []struct {
			name     string
			first    bool // whether the call before is a write
			write    bool
			requests int
		}{
			{"a read on a read's connection is sent again", false, false, 3},
			{"a write after a read has its own connection", false, true, 2},
			{"a write after a write has its own connection", true, true, 2},
		} {
			t.Run(method+": "+tt.name, func(t *testing.T) {
				n := newRawNode(t, func(n *rawNode, connection int, c net.Conn) {
					r := bufio.NewReader(c)
					if n.take(r) {
						_, _ = io.WriteString(c, httpAnswer("whole"))
						if connection == 1 {
							n.take(r)
						}
					}
				})
				wire := NewTransport(n.endpoint())
				defer wire.Close()
				for _, write := range []bool{tt.first, tt.write} {
					resp, failure := wire.Do(t.Context(), Call{Op: "op", Method: method, Path: "/", Body: []byte("x"), Write: write})
					if failure != nil {
						t.Fatal(failure)
					}
					if _, err := io.ReadAll(resp.Body); err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
				}
				if got := n.count(); got != tt.requests {
					t.Errorf("%d requests, want %d", got, tt.requests)
				}
			})
		}
	}
}
