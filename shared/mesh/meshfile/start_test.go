package meshfile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What becomes of a service that a person stopped, as mesh.yaml says it.
func TestStartCommanded(t *testing.T) {
	example, err := os.ReadFile(filepath.Join(meshes, "three-regions.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ca, _ := newCA(t)
	for _, tt := range []struct {
		yaml, want string
		asks       []time.Duration // after these it still asks
		starts     []time.Duration
	}{
		{"", "", []time.Duration{0, 100 * time.Hour}, nil},
		{"startCommanded: approve", "approve", []time.Duration{100 * time.Hour}, nil},
		{"startCommanded: auto", "auto", nil, []time.Duration{0}},
		{"startCommanded: 90m", "1h30m0s", []time.Duration{89 * time.Minute}, []time.Duration{90 * time.Minute}},
	} {
		t.Run(tt.yaml, func(t *testing.T) {
			text := bytes.Replace(example, []byte("  restartForOnePeer: auto\n"), []byte("  restartForOnePeer: auto\n  "+tt.yaml+"\n"), 1)
			m, err := Parse("mesh.yaml", text, func(file string) ([]byte, error) {
				if file == "ca.pem" {
					return []byte(ca), nil
				}
				return os.ReadFile(filepath.Join(meshes, file))
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Policy.StartCommanded; got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			for _, d := range tt.asks {
				if after, byItself := m.Policy.StartsCommanded(); byItself && d >= after {
					t.Errorf("%v after the stop nobody is asked", d)
				}
			}
			for _, d := range tt.starts {
				if after, byItself := m.Policy.StartsCommanded(); !byItself || d < after {
					t.Errorf("%v after the stop a person is asked", d)
				}
			}
			var asJSON bytes.Buffer
			if err := WriteJSON(&asJSON, m); err != nil {
				t.Fatal(err)
			}
			again, err := parseJSON("mesh.json", asJSON.Bytes())
			if err != nil || again.Policy.StartCommanded != tt.want {
				t.Errorf("read again: %q %v", again.Policy.StartCommanded, err)
			}
		})
	}
}
