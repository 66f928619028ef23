// Package meshfile reads a mesh from mesh.yaml, which people write, and from
// the normalised JSON that it writes itself for Lambdas.
//
// It owns the file formats and every rule about what a mesh may say. It never
// contacts a cluster, never reads a secret and never guesses: an unknown key,
// a value of the wrong kind or a figure outside Cisco's range is an error.
//
// What it returns is complete (every default filled in) and valid, or it
// returns no mesh. All faults of a file come back at once, as yamlfile.Errors,
// each with its line and with what would be right. Time zones are checked against
// the machine's time zone database (or one linked in with time/tzdata).
package meshfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/yamlfile"
)

// Sizes that no honest file reaches: a mesh of 30 clusters is some 30 KB.
const (
	maxYAML = 1 << 20  // bytes of mesh.yaml, and of a dialect file
	maxCA   = 1 << 18  // bytes of one CA file
	maxJSON = 16 << 20 // bytes of mesh.json: 30 CA files and the rest
)

// Load reads mesh.yaml and the CA and dialect files that it names, relative
// to its own directory. Errors in the files' content are yamlfile.Errors; a
// mesh.yaml that cannot be read is the operating system's error.
func Load(path string) (*mesh.Mesh, error) {
	m, _, err := LoadReport(path)
	return m, err
}

// LoadReport is Load for a caller that has more to say about the mesh: the report knows
// where its values stand in the files.
func LoadReport(path string) (*mesh.Mesh, *yamlfile.Report, error) {
	data, err := readFile(path, maxYAML)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the mesh: %w", err)
	}
	dir := filepath.Dir(path)
	return parse(path, data, func(file string) ([]byte, error) {
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		return readFile(file, maxYAML)
	})
}

// Parse reads the text of a mesh.yaml. Errors call the file name. The function
// read gives the content of a file that mesh.yaml names, by the name written
// there; nil means that no such file can be read.
func Parse(name string, data []byte, read func(file string) ([]byte, error)) (*mesh.Mesh, error) {
	m, _, err := parse(name, data, read)
	return m, err
}

func parse(name string, data []byte, read func(file string) ([]byte, error)) (*mesh.Mesh, *yamlfile.Report, error) {
	rep := yamlfile.NewReport(name)
	root, ok := format.Parse(rep, name, "", data)
	if !ok {
		return nil, nil, rep.Err()
	}
	m := decodeMesh(rep, name, root, read)
	validate(m, rep)
	if err := rep.Err(); err != nil {
		return nil, nil, err
	}
	sortPeers(m)
	return m, rep, nil
}

// LoadJSON reads a file that WriteJSON wrote. Another one is refused, whatever it
// says; the mesh is validated again.
func LoadJSON(path string) (*mesh.Mesh, error) {
	data, err := readFile(path, maxJSON)
	if err != nil {
		return nil, fmt.Errorf("reading the mesh: %w", err)
	}
	return parseJSON(path, data)
}

// WriteJSON writes the mesh normalised: equal meshes give equal bytes.
func WriteJSON(w io.Writer, m *mesh.Mesh) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // "emea>apac" stays readable
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return fmt.Errorf("writing mesh %s as JSON: %w", m.Name, err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing mesh %s as JSON: %w", m.Name, err)
	}
	return nil
}

// readFile reads at most limit bytes and one more, by which the parser knows
// that the file is too large: a device file must not fill the memory.
func readFile(path string, limit int64) ([]byte, error) {
	// A named pipe without a writer must not be waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("it is not a regular file")}
	}
	return io.ReadAll(io.LimitReader(f, limit+1))
}
