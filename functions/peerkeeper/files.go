package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/host"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
	"peerkeeper/shared/operator"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/secret/file"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/bolt"
	"peerkeeper/shared/yamlfile"
)

// files are the flags of every verb that speaks of a mesh.
type files struct {
	Mesh  string `help:"The mesh: its clusters, peers and policy." default:"mesh.yaml" env:"PEERKEEPER_MESH" placeholder:"FILE"`
	State string `help:"What Peerkeeper knows, kept by run." default:"state.db" env:"PEERKEEPER_STATE" placeholder:"FILE"`
}

// secrets is the flag of those verbs that log in to clusters.
type secrets struct {
	Secrets string `help:"The accounts that mesh.yaml names." default:"secrets.json" env:"PEERKEEPER_SECRETS" placeholder:"FILE"`
	Unsafe  bool   `name:"secrets-unsafe" help:"Use the secrets file although others may read or change it."`
}

// watched is a mesh with what is known of it.
type watched struct {
	*mesh.Mesh
	store store.Store
	clock host.Clock
}

func (w *watched) source() dashboard.Source {
	return dashboard.Source{Store: w.store, Mesh: w.Mesh}
}

// known opens a mesh whose state must exist already: a question about a state
// file that is not there is a mistyped path.
func (f files) known() (*watched, error) {
	if _, err := os.Stat(f.State); errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("there is no state file %s: name it with --state, or let `peerkeeper run` begin one", f.State)
	}
	return f.open()
}

// open opens a mesh, and begins a state file if there is none.
func (f files) open() (*watched, error) {
	w, err := f.mesh()
	if err != nil {
		return nil, err
	}
	s, err := bolt.Open(f.State)
	if err != nil {
		return nil, usage{err}
	}
	s.Now = w.clock.Now
	w.store = s
	return w, nil
}

// mesh reads a mesh, with nothing of what is known of it.
func (f files) mesh() (*watched, error) {
	m, err := loadMesh(f.Mesh)
	if err != nil {
		return nil, err
	}
	w := &watched{Mesh: m, clock: host.Wall{}}
	if m.Clock != nil {
		w.clock = host.Fast{Clock: *m.Clock}
	}
	return w, nil
}

// loadMesh reads mesh.yaml.
func loadMesh(path string) (*mesh.Mesh, error) {
	m, err := meshfile.Load(path)
	var faults yamlfile.Errors
	switch {
	case errors.As(err, &faults):
		return nil, usage{err}
	case errors.Is(err, fs.ErrNotExist):
		return nil, usagef("there is no %s: name your mesh with --mesh FILE, or try `peerkeeper demo` first", path)
	case err != nil:
		return nil, usagef("%s cannot be read: %w; check the path and its permissions", path, err)
	}
	return m, nil
}

// operator is a person at a mesh, who asks.
func (w *watched) operator() *operator.Operator {
	return &operator.Operator{Mesh: w.Mesh, Store: w.store, Now: w.clock.Now}
}

// host runs the functions of a mesh.
func (w *watched) host(t *terminal, accounts secret.Source) *host.Host {
	return &host.Host{Mesh: w.Mesh, Store: w.store, Secrets: accounts, Clock: w.clock, Log: t.log}
}

// clusters opens the clusters of a mesh.
func (w *watched) clusters(t *terminal, accounts secret.Source) *cluster.Connector {
	return &cluster.Connector{Dialect: cluster.NewDialect(w.Dialect), Secrets: accounts, Now: w.clock.Now, Log: t.log}
}

// accounts are for verbs that contact clusters. wanted are those that must exist.
func (w *watched) accounts(t *terminal, f files, s secrets, wanted []string) (secret.Source, error) {
	salt, err := file.LoadSalt(f.State + ".salt")
	if err != nil {
		return nil, usagef("%w; it stands beside the state file, which must be in a folder that this user may write", err)
	}
	source := &file.Source{Path: s.Secrets, Salt: salt, Unsafe: s.Unsafe}
	if warning, err := source.Warning(); err == nil && warning != "" {
		if !s.Unsafe {
			return nil, usagef("%s (or --secrets-unsafe, if they may)", warning)
		}
		t.notef("peerkeeper: %s", warning)
	}
	if err := checkSecrets(source, f.Mesh, wanted); err != nil {
		return nil, err
	}
	return source, nil
}

func checkSecrets(source *file.Source, meshPath string, wanted []string) error {
	if len(wanted) == 0 {
		return nil
	}
	have, err := source.Names()
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("there is no secrets file %s: name it with --secrets FILE; %s names %s", source.Path, meshPath, strings.Join(wanted, ", "))
	}
	if err != nil {
		return usage{err}
	}
	var missing []string
	for _, name := range wanted {
		if !slices.Contains(have, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return usagef("%s lacks %s, which %s names: add what is missing, or correct the names (the file has %s)",
			source.Path, strings.Join(missing, ", "), meshPath, listed(have))
	}
	return nil
}

// readSecrets are the accounts that look at clusters.
func readSecrets(clusters []mesh.Cluster) []string {
	var names []string
	for _, c := range clusters {
		names = append(names, c.Credentials)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// allSecrets are all accounts that a mesh names.
func allSecrets(m *mesh.Mesh) []string {
	var names []string
	for i := range m.Clusters {
		for _, a := range mesh.Accounts() {
			if name := a.Secret(&m.Clusters[i]); name != "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// besides gives a file that mesh.yaml names its place: relative to mesh.yaml.
func besides(meshPath, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(meshPath), name)
}

// actor is who decides: the account of the operating system.
func actor() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("finding out who you are, for the record: %w", err)
	}
	// A name that a directory gave is no text of ours.
	return plain.Line(u.Username, maxName), nil
}

// cluster finds a cluster that a person named.
func (w *watched) cluster(name string) (*mesh.Cluster, error) {
	if c, ok := w.Cluster(mesh.ClusterID(name)); ok {
		return c, nil
	}
	return nil, usagef("%s is no cluster of mesh %s: %s", name, w.Name, suggest(name, texts(w.IDs())))
}

// peer finds a directed peer that a person named.
func (w *watched) peer(name string) (mesh.PeerID, error) {
	// A shell takes > for itself, so emea:apac is understood too.
	id, err := mesh.ParsePeerID(strings.Replace(name, ":", ">", 1))
	if err != nil {
		hint := ""
		if _, ok := w.Cluster(mesh.ClusterID(name)); ok {
			hint = " (a bare > is taken by your shell: quote it, or write " + name + ":…)"
		}
		return id, usage{fmt.Errorf("%w%s", err, hint)}
	}
	for _, end := range []mesh.ClusterID{id.From, id.To} {
		if _, err := w.cluster(string(end)); err != nil {
			// It may have left the mesh and still be remembered.
			return id, err
		}
	}
	return id, nil
}

func (w *watched) noSuchPeer(id mesh.PeerID) error {
	var have []string
	for _, p := range w.Peers {
		have = append(have, p.ID.String())
	}
	return usagef("%s is no peer of mesh %s: %s", id, w.Name, suggest(id.String(), have))
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return out
}

// ask runs a question that contacts clusters, with a progress display.
func (t *terminal) ask(ctx context.Context, m *watched, clusters int, do func(context.Context) error) error {
	return t.wait(ctx, fixed("asking %s of mesh %s", plain.Count(clusters, "cluster", "clusters"), m.Name), do)
}
