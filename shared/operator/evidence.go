package operator

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"peerkeeper/shared/dashboard"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
)

// Evidence writes what a TAC case needs of one directed peer to w, as a zip:
// what is known and since when, both clusters' records, the certificates seen,
// who did what, and the commands whose output belongs to it. It holds no
// secret: none is ever stored.
func (o *Operator) Evidence(ctx context.Context, id mesh.PeerID, w io.Writer) error {
	now := o.Now()
	source := dashboard.Source{Store: o.Store, Mesh: o.Mesh}
	explained, err := source.Explain(ctx, id, now)
	if err != nil {
		return err
	}
	snapshot, err := record.Load(ctx, o.Store, o.Mesh)
	if err != nil {
		return err
	}
	buckets, err := snapshot.Buckets(o.Mesh)
	if err != nil {
		return err
	}
	history, err := repair.History(ctx, o.Store, o.Mesh.Name, now.AddDate(0, 0, -30), now)
	if err != nil {
		return err
	}
	gate, err := repair.Load(ctx, o.Store, o.Mesh.Name)
	if err != nil {
		return err
	}
	from, _ := o.Mesh.Cluster(id.From)
	to, _ := o.Mesh.Cluster(id.To)
	z := zip.NewWriter(w)
	var text strings.Builder
	if err := dashboard.WriteExplain(&text, explained, false); err != nil {
		return err
	}
	fmt.Fprintf(&text, "\nTo be collected by hand and added, before anything is restarted:\n")
	for _, c := range []*mesh.Cluster{from, to} {
		if c == nil {
			continue
		}
		for _, cmd := range peer.Evidence(c.Publisher) {
			fmt.Fprintf(&text, "  %s\n", cmd)
		}
	}
	fmt.Fprintf(&text, "\nWritten %s by Peerkeeper from its own records; labels say what was measured on the cluster and what is inferred.\n", now.UTC().Format(time.RFC3339))
	files := []struct {
		name string
		what any
	}{
		{"explain.json", explained},
		{"sync.json", snapshot.Syncs[id].Value},
		{"state.json", snapshot.States[id].Value},
		{"cluster-" + string(id.From) + ".json", snapshot.Clusters[id.From].Value},
		{"cluster-" + string(id.To) + ".json", snapshot.Clusters[id.To].Value},
		{"buckets-" + string(id.From) + ".json", buckets[id.From].Value},
		{"buckets-" + string(id.To) + ".json", buckets[id.To].Value},
		{"certificates-" + string(id.From) + ".json", snapshot.Certs[id.From].Value},
		{"certificates-" + string(id.To) + ".json", snapshot.Certs[id.To].Value},
		{"history.json", history},
		{"gate.json", gate},
	}
	if err := addFile(z, "README.txt", now, []byte(text.String())); err != nil {
		return err
	}
	for _, f := range files {
		b, err := json.MarshalIndent(f.what, "", "  ")
		if err != nil {
			return fmt.Errorf("writing %s: %w", f.name, err)
		}
		if err := addFile(z, f.name, now, plain.JSON(b)); err != nil {
			return err
		}
	}
	return z.Close()
}

func addFile(z *zip.Writer, name string, at time.Time, b []byte) error {
	f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at})
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return err
}
