// Command meshjson makes of one mesh.yaml the mesh.json that Lambdas read, in
// each folder named: `make build` puts it beside every bootstrap. A mesh.yaml
// with a fault gives no file at all.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"peerkeeper/shared/mesh/meshfile"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: meshjson MESH.yaml FOLDER…")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(from string, folders []string) error {
	m, err := meshfile.Load(from)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := meshfile.WriteJSON(&b, m); err != nil {
		return err
	}
	var errs []error
	for _, dir := range folders {
		errs = append(errs, os.WriteFile(filepath.Join(dir, "mesh.json"), b.Bytes(), 0o644)) // Lambda's own user reads it
	}
	return errors.Join(errs...)
}
