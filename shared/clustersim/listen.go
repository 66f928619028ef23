package clustersim

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"time"
)

// listenerState is one socket of a node. Between two lives of a listener hold keeps
// the port, so that nobody else gets it while the node refuses connections.
type listenerState struct {
	address string // once started
	server  *http.Server
	ended   chan struct{} // closed when server no longer accepts
	hold    func() error  // gives the port free
}

// listening is whether the node takes connections from outside.
func (n *node) listening() bool {
	return !n.down && !n.cluster.blocked["peerkeeper"] && n.service(serviceTomcat).status != stopped && n.service(serviceTomcat).status != stopping
}

// Start opens two TLS listeners per node and two DNS servers per cluster, all on
// free ports.
func (s *Sim) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.closed {
		return errors.New("starting the simulation: it is started or closed already")
	}
	s.started = true
	for _, c := range s.clusters {
		for i := range c.dns {
			server, err := startDNS(net.JoinHostPort(s.cfg.Listen, "0"), c.zone)
			if err != nil {
				return fmt.Errorf("starting DNS of %s: %w", c.id, err)
			}
			server.silence(c.dns[i].silent)
			c.dns[i].server = server
		}
		for _, n := range c.nodes {
			if err := s.openBoth(n); err != nil {
				return err
			}
			s.reconcileListener(n)
		}
	}
	return nil
}

// openBoth listens on the node's two ports.
func (s *Sim) openBoth(n *node) error {
	if s.cfg.Ports == portsCisco {
		n.listener.address, n.platform.address = orElse(n.listener.address, net.JoinHostPort(n.ip.String(), "8443")), orElse(n.platform.address, net.JoinHostPort(n.ip.String(), "443"))
	}
	return errors.Join(s.open(n, &n.listener), s.open(n, &n.platform), s.openBare(n))
}

// openBare listens on 7400 (XCP) and 5060 (SIP) where Cisco's ports are served: what
// is tried there is whether they open, so that a connection is closed at once.
func (s *Sim) openBare(n *node) error {
	if s.cfg.Ports != portsCisco || n.role == roleCUCM {
		return nil
	}
	for _, port := range []string{"7400", "5060"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(n.ip.String(), port))
		if err != nil {
			return fmt.Errorf("listening for %s: %w", n.name, err)
		}
		n.bare = append(n.bare, listener)
		s.servers.Go(func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return // closed
				}
				_ = c.Close() // nothing was said that could be lost
			}
		})
	}
	return nil
}

// closeBare ends what openBare began.
func (n *node) closeBare() error {
	var errs []error
	for _, l := range n.bare {
		errs = append(errs, l.Close())
	}
	n.bare = nil
	return errors.Join(errs...)
}

// open listens, on the port that the node had before if it had one.
func (s *Sim) open(n *node, l *listenerState) error {
	address := l.address
	if address == "" {
		address = net.JoinHostPort(s.cfg.Listen, "0")
	}
	if l.hold != nil {
		if err := l.hold(); err != nil {
			s.log("%s: freeing port: %v", n.name, err)
		}
		l.hold = nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening for %s: %w", n.name, err)
	}
	l.address = listener.Addr().String()
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(n, w, r) }),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          log.New(lineLogger{s, n.name}, "", 0),
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1, as Tomcat here
		TLSConfig: &tls.Config{
			MinVersion:         tls.VersionTLS10, // tlsFor has the node's own
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.tlsFor(n), nil },
			Certificates:       n.shown(),
		},
	}
	l.server = server
	ended := make(chan struct{})
	l.ended = ended
	s.servers.Go(func() {
		defer close(ended)
		if err := server.ServeTLS(gate{listener, func() tlsPosture { return s.postureOf(n) }}, "", ""); !errors.Is(err, http.ErrServerClosed) {
			s.log("%s: listener ended: %v", n.name, err)
		}
	})
	return nil
}

// tlsFor is asked at each handshake, so that a renewed certificate shows at the
// next connection. Tickets are off: a resumed session would show the old one.
func (s *Sim) tlsFor(n *node) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n.posture.config(n.shown())
}

func (s *Sim) postureOf(n *node) tlsPosture {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n.posture
}

// dropConnections breaks the connections to a node.
func (s *Sim) dropConnections(n *node) {
	if !s.started || s.closed {
		return
	}
	for _, l := range []*listenerState{&n.listener, &n.platform} {
		if l.server == nil {
			continue
		}
		s.shut(n, l)
		if err := s.open(n, l); err != nil {
			s.log("SIMULATOR FAULT: %v", err)
		}
	}
}

// reconcileListener opens or closes the node's sockets as its state demands.
// Closing breaks the connections there are.
func (s *Sim) reconcileListener(n *node) {
	if !s.started || s.closed {
		return
	}
	if s.cfg.Ports == portsCisco && n.role != roleCUCM {
		switch open := len(n.bare) > 0; {
		case n.listening() && !open:
			if err := s.openBare(n); err != nil {
				s.log("SIMULATOR FAULT: %v", err)
			}
		case !n.listening() && open:
			if err := n.closeBare(); err != nil {
				s.log("%s: closing: %v", n.name, err)
			}
		}
	}
	for _, l := range []*listenerState{&n.listener, &n.platform} {
		switch open := l.server != nil; {
		case n.listening() && !open:
			if err := s.open(n, l); err != nil {
				s.log("SIMULATOR FAULT: %v", err)
			}
		case !n.listening() && open:
			s.shut(n, l)
		}
	}
}

func (s *Sim) shut(n *node, l *listenerState) {
	server := l.server
	l.server = nil
	if err := server.Close(); err != nil {
		s.log("%s: closing: %v", n.name, err)
	}
	// Until Accept has returned, the kernel goes on taking connections.
	<-l.ended
	hold, err := holdPort(l.address)
	if err != nil {
		s.log("%s: holding port: %v", n.name, err)
		return
	}
	l.hold = hold
}

// Close ends the simulation and waits for everything it started.
func (s *Sim) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	var errs []error
	for _, c := range s.clusters {
		c.logging.push.close()
		for _, n := range c.nodes {
			errs = append(errs, n.closeBare())
			for _, l := range []*listenerState{&n.listener, &n.platform} {
				if l.server != nil {
					errs = append(errs, l.server.Close())
				}
				if l.hold != nil {
					errs = append(errs, l.hold())
				}
			}
		}
	}
	s.mu.Unlock()
	s.servers.Wait()
	s.handlers.Wait()
	for _, c := range s.clusters {
		for _, d := range c.dns {
			if d.server != nil {
				errs = append(errs, d.server.Close())
			}
		}
		errs = append(errs, c.db.Close())
		if c.cucm != nil {
			errs = append(errs, c.cucm.Close())
		}
	}
	return errors.Join(errs...)
}

// lineLogger takes net/http's own complaints, handshakes that failed mostly.
type lineLogger struct {
	s    *Sim
	name string
}

func (l lineLogger) Write(b []byte) (int, error) {
	l.s.log("%s: %s", l.name, strings.TrimSpace(string(b)))
	return len(b), nil
}
