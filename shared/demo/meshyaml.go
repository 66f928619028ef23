package demo

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"peerkeeper/shared/plain"
)

const meshYAML = "mesh.yaml"

// writeMesh is what a person does in mesh.yaml: keys in the place of those that stand
// there, and clusters by their ids, whose lines are those that the simulator writes.
func (s *set) writeMesh(keys map[string]any) error {
	path := filepath.Join(s.dir, meshYAML)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var stands map[string]any
	if err := yaml.Unmarshal(b, &stands); err != nil {
		return err
	}
	for key, value := range keys {
		if key == "clusters" {
			if value, err = s.lines(value); err != nil {
				return err
			}
		}
		stands[key] = value
	}
	if b, err = yaml.Marshal(stands); err != nil {
		return err
	}
	return replaceFile(path, b)
}

// lines are those of clusters in mesh.yaml.
func (s *set) lines(ids any) ([]any, error) {
	files, err := s.sim.Files("")
	if err != nil {
		return nil, err
	}
	known := map[any]any{}
	for _, name := range []string{meshYAML, "apart.yaml"} {
		var file struct {
			Clusters []map[string]any `yaml:"clusters"`
		}
		if err := yaml.Unmarshal(files[name], &file); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, c := range file.Clusters {
			known[c["id"]] = c
		}
	}
	asked, _ := ids.([]any)
	out := make([]any, len(asked))
	for i, id := range asked {
		if out[i] = known[id]; out[i] == nil {
			return nil, fmt.Errorf("write: there is no cluster %v", id)
		}
	}
	return out, nil
}

// written names what is written into mesh.yaml, on one line.
func written(keys map[string]any) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value, err := yaml.MarshalWithOptions(keys[key], yaml.Flow(true))
		if err != nil {
			value = []byte("…")
		}
		out = append(out, key+": "+strings.TrimSpace(string(value)))
	}
	return plain.List(out)
}
