package meshfile

import (
	"bytes"
	"encoding/json"
	"fmt"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/yamlfile"
)

const writeAgain = "write the file again from mesh.yaml"

// parseJSON reads a mesh that is byte for byte as WriteJSON writes it. Then
// every key is there, once, and no other; encoding/json alone takes a key in any
// case, twice, or not at all.
func parseJSON(file string, data []byte) (*mesh.Mesh, error) {
	rep := yamlfile.NewReport(file)
	refuse := func(line int, message, cure string, cause error) (*mesh.Mesh, error) {
		e := rep.Fail("", message, cure)
		e.Line, e.Cause = line, cause
		return nil, rep.Err()
	}
	if len(data) > maxJSON {
		return refuse(0, fmt.Sprintf("the file is larger than %d MiB", maxJSON>>20), "is this the right file?", nil)
	}
	m := &mesh.Mesh{}
	if err := json.Unmarshal(data, m); err != nil {
		return refuse(0, err.Error(), writeAgain, err)
	}
	normalise(m)
	var again bytes.Buffer
	if err := WriteJSON(&again, m); err != nil {
		return refuse(0, err.Error(), writeAgain, err)
	}
	if line := firstDifference(data, again.Bytes()); line > 0 {
		return refuse(line, "differs from what Peerkeeper writes", writeAgain, nil)
	}
	validate(m, rep)
	if err := rep.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// firstDifference is the line at which two files part; 0 if they are equal. A
// null comes out as it went in, and is nothing that Parse gives.
func firstDifference(a, b []byte) int {
	line := 0
	for one := range bytes.Lines(a) {
		line++
		rest, same := bytes.CutPrefix(b, one)
		if value := bytes.TrimRight(one, ",\n"); !same || bytes.HasSuffix(value, []byte("null")) {
			return line
		}
		b = rest
	}
	if len(b) > 0 {
		return line + 1
	}
	return 0
}

// normalise gives empty lists the one form that Parse gives them.
func normalise(m *mesh.Mesh) {
	for i := range m.Clusters {
		c := &m.Clusters[i]
		c.DNS, c.TLS.Pins, c.TLS.Unread = emptyIsNil(c.DNS), emptyIsNil(c.TLS.Pins), emptyIsNil(c.TLS.Unread)
		c.SyslogFrom, c.Log = emptyIsNil(c.SyslogFrom), normalLog(c.Log)
		platformAddresses(c)
	}
	m.Domains = emptyIsNil(m.Domains)
	nodeNames(m)
	m.Policy.Windows = emptyIsNil(m.Policy.Windows)
	for i := range m.Policy.Windows {
		m.Policy.Windows[i].Days = emptyIsNil(m.Policy.Windows[i].Days)
	}
	if m.Dialect != nil {
		if len(m.Dialect.Queries) == 0 {
			m.Dialect.Queries = nil
		}
		if len(m.Dialect.Parameters) == 0 {
			m.Dialect.Parameters = nil
		}
	}
}

func emptyIsNil[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}
