//go:build unix

package useraudit_test

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"peerkeeper/shared/cluster"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
	"peerkeeper/shared/useraudit"
	"peerkeeper/shared/userset"
)

// BenchmarkRun audits thirty clusters of 75,000 users of whom nobody is suspected:
// what preflight's Lambda computes, reading the items included. The store's own
// bytes are not counted.
func BenchmarkRun(b *testing.B) {
	const users = 75_000
	memory := storetest.NewMemory()
	m := &mesh.Mesh{Name: "acme"}
	now := time.Now()
	key, err := record.DrawUsersKey(b.Context(), memory, m.Name)
	if err != nil {
		b.Fatal(err)
	}
	for i := range mesh.MaxClusters {
		id := mesh.ClusterID(fmt.Sprintf("c%02d", i))
		m.Clusters = append(m.Clusters, mesh.Cluster{ID: id})
		c := userset.Collect(key)
		for n := range users {
			name := fmt.Sprintf("user%d.%d", i, n)
			c.Assigned(userset.User{Key: fmt.Sprintf("%036d", n), ID: name, URI: name + "@example.com"}, true)
		}
		c.Unassigned(nil)
		set, err := c.Set(0, now)
		if err != nil {
			b.Fatal(err)
		}
		if err := record.WriteUsers(b.Context(), memory, m.Name, id, store.Doc[userset.Head]{}, set); err != nil {
			b.Fatal(err)
		}
	}
	nobody := func(_ context.Context, clusters []mesh.Cluster, _ func(context.Context, int, *cluster.Client) error) []error {
		return make([]error, len(clusters))
	}
	a := &useraudit.Audit{Mesh: m, Store: memory, Ask: nobody, Now: func() time.Time { return now }}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var highest uint64
	for b.Loop() {
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				var at runtime.MemStats
				runtime.ReadMemStats(&at)
				highest = max(highest, at.HeapInuse-min(before.HeapInuse, at.HeapInuse))
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		}()
		from := used()
		r, err := a.Run(b.Context())
		took := used() - from
		close(stop)
		<-done
		if err != nil || !r.Well() {
			b.Fatalf("%+v, %v", r, err)
		}
		b.ReportMetric(took.Seconds(), "cpu-s")
	}
	b.ReportMetric(float64(highest)/1e6, "heap-MB")
}

func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
