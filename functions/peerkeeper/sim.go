package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/demo"
	"peerkeeper/shared/host"
	"peerkeeper/shared/listener"
	"peerkeeper/shared/mesh"
)

type simVerb struct {
	Dir         string        `help:"Folder for mesh.yaml, secrets.json, ca.pem, dialect.yaml and admin.json." required:"" placeholder:"DIR"`
	Clusters    int           `help:"How many clusters, 1 to 30: emea, apac, amer, c04 …" default:"3" placeholder:"N"`
	Apart       int           `help:"How many of them, the last, have no peers yet: mesh.yaml does not list them, apart.yaml does." default:"0" placeholder:"N"`
	Users       int           `help:"Users at home in each cluster." default:"200" placeholder:"N"`
	Latency     time.Duration `help:"Added to every answer, such as 50ms." default:"0" placeholder:"TIME"`
	Release     string        `help:"12.5, 14.0, 15.0 or a full version such as 14.0.1.13900-8." default:"14.0" placeholder:"RELEASE"`
	Listen      string        `help:"IP address to listen on; ports are free ones." default:"127.0.0.1" placeholder:"IP"`
	Names       string        `help:"What the nodes are called in Presence Topology: fqdn, host or ip; their certificates and DNS have the FQDN." default:"fqdn" enum:"fqdn,host,ip" placeholder:"KIND"`
	Ports       string        `help:"free, or cisco: each node has an address of its own, 127.0.0.x, with 8443, 443, 7400 and 5060." default:"free" enum:"free,cisco" placeholder:"KIND"`
	LogSeverity int           `help:"Level at which the clusters log what their ICSAs say, 1 to 7: 6 has successes and failures, 3 (Cisco's default) failures only." default:"6" placeholder:"N"`
	Rate        float64       `help:"How much faster than time its clock runs." default:"1" placeholder:"N"`
}

// Help is what peerkeeper sim --help teaches.
func (simVerb) Help() string {
	return `Simulates clusters (publisher, subscriber, CUCM publisher each) on real TLS sockets, writes the files a client needs to --dir, prints the line "ready" and lives until it is ended. Its admin URL, in admin.json, breaks and mends things; it is on this machine's loopback, wherever the nodes listen.
It never contacts anybody, and what Cisco does not document in it is invented and says so.

Examples:

  peerkeeper sim --dir mesh --rate 60 &
  peerkeeper run --mesh mesh/mesh.yaml --secrets mesh/secrets.json --state mesh/state.db
  curl -d '{"peer":"apac","mode":"stuck"}' "$(jq -r .url mesh/admin.json)/clusters/emea/peers"
  curl -d '{"node":"imp-apac-pub.example.com","issuer":"self","served":false}' "$(jq -r .url mesh/admin.json)/clusters/apac/certificates"
  curl -d '{"remove":"imp-apac-pub.example.com"}' "$(jq -r .url mesh/admin.json)/clusters/emea/trust"

GET /state tells what everybody has. POST takes, each with an example; a body with a wrong key is answered with the keys there are:

` + clustersim.AdminHelp()
}

// Run simulates a mesh until the context ends.
func (s *simVerb) Run(ctx context.Context, t *terminal) (err error) {
	if s.Rate <= 0 {
		return usagef("--rate %g: want more than 0, such as 60 for a minute a second", s.Rate)
	}
	if s.LogSeverity < 1 || s.LogSeverity > 7 {
		return usagef("--log-severity %d: want 1 to 7, such as 6 (Informational) or 3 (Error)", s.LogSeverity)
	}
	clock := host.Fast{Clock: mesh.Clock{Epoch: time.Now().UTC(), Rate: s.Rate}}
	ports := s.Ports
	if ports == "free" {
		ports = ""
	}
	sim, err := clustersim.New(clustersim.Config{
		Names: s.Names, Ports: ports,
		Clusters: s.Clusters, Apart: s.Apart, Users: s.Users, Release: s.Release, Listen: s.Listen, Latency: s.Latency,
		LogSeverity: s.LogSeverity, Clock: clock, Seed: 1, Epoch: clock.Epoch, Rate: s.Rate,
		Log: func(line string) { t.log.Info(line) },
	})
	if err != nil {
		return usagef("no such mesh can be simulated: %w", err)
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	if err := sim.Start(); err != nil {
		return usagef("the simulated nodes cannot listen on %s: %w; name an address of this machine with --listen", s.Listen, err)
	}
	// Only this machine may break things, wherever the nodes listen.
	admin, err := listener.Open(ctx, listener.Config{Address: "127.0.0.1:0", Local: "the simulator's admin URL", Log: t.log})
	if err != nil {
		return usage{err}
	}
	defer func() {
		if cerr := admin.Close(); !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, cerr)
		}
	}()
	url := admin.URL()
	if err := demo.WriteFiles(sim, url, s.Dir); err != nil {
		return usagef("the files of the mesh cannot be written: %w; name another folder with --dir", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return admin.Serve(ctx, sim.Admin()) })
	group.Go(func() error { return demo.Drive(ctx, sim, clock) })
	t.notef("%d clusters of %d users, %g times as fast as time; mesh %s, admin %s", s.Clusters, s.Users, s.Rate, filepath.Join(s.Dir, "mesh.yaml"), url)
	t.sayf("ready")
	return ended(ctx, group.Wait())
}
