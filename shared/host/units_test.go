package host_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/clustersim/simtest"
	"peerkeeper/shared/dnsprobe"
	"peerkeeper/shared/host"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/run"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

// metered counts what DynamoDB would: half a unit per 4 KB of a query, one per
// 4 KB of a consistent one, and of each item read by its key, whether or not it
// exists; one per KB of a write.
type metered struct {
	*storetest.Memory
	mu sync.Mutex
	spent
}

type spent struct{ reads, writes float64 }

const (
	readUnit  = 4 << 10
	writeUnit = 1 << 10
	queryPage = 1 << 20
)

// size is an item's with its attributes' names: pk, sk, version, ttl, body.
func size(it store.Item) int {
	return len("pkskversionbody") + len(it.PK) + len(it.SK) + len(it.Body) + 3
}

func blocks(bytes, of int) float64 { return float64(max(1, (bytes+of-1)/of)) }

func (m *metered) count(reads, writes float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads += reads
	m.writes += writes
}

func (m *metered) Get(ctx context.Context, key store.Key) (store.Item, error) {
	it, err := m.Memory.Get(ctx, key)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		m.count(blocks(size(it), readUnit), 0)
	}
	return it, err
}

func (m *metered) GetMany(ctx context.Context, keys ...store.Key) (map[store.Key]store.Item, error) {
	items, err := m.Memory.GetMany(ctx, keys...)
	asked := map[store.Key]bool{}
	for _, k := range keys {
		if err == nil && !asked[k] {
			asked[k] = true
			m.count(blocks(size(items[k]), readUnit), 0)
		}
	}
	return items, err
}

func (m *metered) LoadNow(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	items, err := m.Memory.Load(ctx, pk, prefix)
	m.count(2*halves(items), 0)
	return items, err
}

func (m *metered) Load(ctx context.Context, pk, prefix string) ([]store.Item, error) {
	items, err := m.Memory.Load(ctx, pk, prefix)
	m.count(halves(items), 0)
	return items, err
}

// halves are the units of an eventually consistent query.
func halves(items []store.Item) float64 {
	page, units := 0, 0.0
	for _, it := range items {
		if page += size(it); page > queryPage {
			units += blocks(page, readUnit) / 2
			page = 0
		}
	}
	return units + blocks(page, readUnit)/2
}

func (m *metered) Put(ctx context.Context, items ...store.Item) error {
	for _, it := range items {
		m.count(0, blocks(size(it), writeUnit))
	}
	return m.Memory.Put(ctx, items...)
}

// BenchmarkUnits measures what infra/cost counts a month's units by: those of a
// run in which nothing fails and nothing changes but times, as the mean of an
// hour, and of certcheck those of a run that looks.
func BenchmarkUnits(b *testing.B) {
	for _, clusters := range []int{1, 3, 10, 30} {
		b.Run(fmt.Sprint(clusters, " clusters"), func(b *testing.B) {
			for range b.N {
				units(b, clusters)
			}
		})
	}
}

// silence is a sink that wants none: an alarm is not what is measured.
type silence struct{}

func (silence) Send(_ context.Context, n alarm.Notice) error {
	return fmt.Errorf("%s: %s", n.Name, n.Message)
}

func units(b *testing.B, clusters int) {
	r := simtest.New(b, simtest.Start(), clustersim.Config{Clusters: clusters, Users: 200, Seed: 1}, false)
	for i := range r.Mesh.Clusters { // without trust stores: they are not every mesh's
		r.Mesh.Clusters[i].PlatformCredentials, r.Mesh.Clusters[i].PlatformWriteCredentials = "", ""
	}
	m := &metered{Memory: storetest.NewMemory()}
	m.Now = r.Clock.Now
	h := &host.Host{
		Mesh: r.Mesh, Store: m, Secrets: r.SecretsNow(), Sinks: []alarm.Sink{silence{}}, Clock: byHand{r.Clock}, Timeout: time.Minute, Backoff: time.Millisecond,
		Transport: r.Transport(), TLS: inProcessTLS{r.Sim}, DNS: &dnsprobe.Client{Domain: r.Mesh.Domain, Timeout: time.Minute, Dialer: inProcessDNS{r.Sim}},
	}
	runs := map[string][]spent{}
	hour := func() {
		clear(runs)
		for i := range 12 {
			for _, f := range []string{"peersync", "certcheck", "preflight", "peering", "stucksync"} {
				if f == "certcheck" && i%3 != 0 || f == "preflight" && i != 0 {
					continue
				}
				m.spent = spent{}
				if _, err := h.Handle(b.Context(), run.Request{Function: f}); err != nil {
					b.Fatal(err)
				}
				runs[f] = append(runs[f], m.spent)
			}
			r.Pass(5 * time.Minute)
		}
	}
	for range 2 + clusters/12 { // until every user of each cluster has been read once
		hour()
	}
	r.Pass(peer.CertLook)
	hour()
	for f, all := range runs {
		var reads, writes, n float64
		for _, one := range all {
			if f == "certcheck" && one.writes < float64(clusters) {
				continue // it did not look
			}
			reads, writes, n = reads+one.reads, writes+one.writes, n+1
		}
		b.ReportMetric(reads/n, f+"-reads")
		b.ReportMetric(writes/n, f+"-writes")
	}
	items, err := m.Memory.Load(b.Context(), store.Live(r.Mesh.Name), "")
	if err != nil {
		b.Fatal(err)
	}
	stored := 0
	for _, it := range items {
		stored += size(it)
	}
	b.ReportMetric(float64(stored), "stored-bytes")
}
