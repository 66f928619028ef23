package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// bills writes what each program is made of as CycloneDX 1.5, from the program's
// own record, into folder/NAME.cdx.json. There is no timestamp and no serial
// number, and the tool is built without this machine's paths, because its hash
// is in the bill: the same program is the same bill.
func bills(ctx context.Context, programs []program, folder string) (err error) {
	gomod, err := output(ctx, nil, "go", "env", "GOMOD")
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "cyclonedx-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	tool := filepath.Join(temp, "cyclonedx-gomod")
	module := filepath.Join(filepath.Dir(strings.TrimSpace(string(gomod))), "infra", "supply", "cyclonedx", "go.mod")
	if _, err := output(ctx, append(os.Environ(), "CGO_ENABLED=0"), "go", "build", "-trimpath", "-buildvcs=false", "-modfile="+module, "-o", tool,
		"github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod"); err != nil {
		return err
	}
	for _, p := range programs {
		// The tool takes a program's processor from its own environment, and looks for
		// licences only where the program has a version.
		if _, err := output(ctx, append(os.Environ(), "GOARCH="+p.arch), tool, "bin", "-json", "-output-version=1.5", "-std", "-version=devel",
			"-licenses", "-assert-licenses", "-noserial", "-notimestamp", "-output="+filepath.Join(folder, p.name+".cdx.json"), p.file); err != nil {
			return err
		}
	}
	return nil
}
