package clustersim

import (
	"testing"
	"time"
)

func BenchmarkLoad(b *testing.B) {
	for _, size := range []struct {
		name            string
		clusters, users int
	}{{"3x200", 3, 200}, {"30x200", 30, 200}, {"3x75000", 3, 75000}} {
		b.Run(size.name, func(b *testing.B) {
			for range b.N {
				start := time.Now()
				s, err := New(Config{Clusters: size.clusters, Users: size.users, Clock: &testClock{now: epoch}})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(time.Since(start).Seconds(), "s/mesh")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
