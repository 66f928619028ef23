//go:build unix

package userset

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// meshOf are the stored items of thirty clusters: n users, ten of them twice.
func meshOf(n int) (heads []Head, parts [][]Part) {
	random := rand.New(rand.NewPCG(uint64(n), 0))
	twice := make([]uint64, 10)
	for i := range twice {
		twice[i] = random.Uint64()
	}
	for cluster := range 30 {
		c := Collector{}
		for i := range n / 30 {
			h := random.Uint64()
			if cluster < 2 && i < len(twice) {
				h = twice[i]
			}
			c.hashes[IDs] = append(c.hashes[IDs], h)
			c.hashes[URIs] = append(c.hashes[URIs], h)
		}
		s, err := c.Set(0, time.Unix(0, 0))
		if err != nil {
			panic(err)
		}
		for _, k := range Kinds() {
			var of []Part
			for i := range s.Head.Parts() {
				of = append(of, s.Parts[s.Head.Number(k, i)])
			}
			parts = append(parts, of)
		}
		heads = append(heads, s.Head)
	}
	return heads, parts
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAudit finds the duplicates among the users of thirty clusters, both
// kinds of key, from what is stored; and beside it the same by a map of strings.
// The budget at 2,250,000 users is 1.5 s of the processor and 128 MB.
func BenchmarkAudit(b *testing.B) {
	for _, n := range []int{500_000, 1_000_000, 2_000_000, 2_250_000} {
		heads, parts := meshOf(n)
		measure := func(name string, find func() int) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				var took time.Duration
				var allocated uint64
				for b.Loop() {
					runtime.GC()
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					from := cpu()
					if found := find(); found != 20 {
						b.Fatalf("%d duplicates found, want 20", found)
					}
					took = cpu() - from
					runtime.ReadMemStats(&after)
					allocated = after.TotalAlloc - before.TotalAlloc
				}
				if name == "sorted" && (took > 1500*time.Millisecond || allocated > 128<<20) {
					b.Errorf("%d users took %s of the processor and %d MB", n, took, allocated>>20)
				}
				b.ReportMetric(took.Seconds(), "cpu-s")
				b.ReportMetric(float64(allocated)/1e6, "MB-in-all")
				b.ReportMetric(took.Seconds()*1e9/float64(n), "cpu-ns/user")
			})
		}
		measure("sorted", func() int {
			found := 0
			for _, k := range Kinds() {
				sets := make([][]uint64, len(heads))
				for i, h := range heads {
					sets[i], _ = h.Append(make([]uint64, 0, h.Users), parts[2*i+int(k)])
				}
				_, total := Repeated(sets, 1000)
				found += total
			}
			return found
		})
		measure("map", func() int {
			found := 0
			for _, k := range Kinds() {
				seen := map[string]int{}
				for i := range heads {
					for _, p := range parts[2*i+int(k)] {
						for h := p.Hashes; len(h) > 0; h = h[8:] {
							seen[string(h[:8])]++
						}
					}
				}
				for _, times := range seen {
					if times > 1 {
						found++
					}
				}
			}
			return found
		})
	}
}
