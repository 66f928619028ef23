package emulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// motoImage is moto's own image; its server listens on port 5000.
const motoImage = "motoserver/moto"

const (
	askEngineWithin = 5 * time.Second
	// pullWithin bounds the start of a container, its image fetched if need be.
	pullWithin = 3 * time.Minute
	// removeWithin bounds the end of one.
	removeWithin = 20 * time.Second
)

// errNoEngine says that there is no Docker engine to run an image on.
var errNoEngine = errors.New("no Docker engine answers")

// image runs moto's image on a port of the loopback that Docker chooses.
func image(ctx context.Context) (url string, stop func() error, _ error) {
	if _, err := docker(ctx, askEngineWithin, "version", "--format", "{{.Server.Version}}"); err != nil {
		return "", nil, errors.Join(errNoEngine, err)
	}
	id, err := docker(ctx, pullWithin, "run", "--detach", "--rm", "--publish", "127.0.0.1::5000", motoImage)
	if err != nil {
		return "", nil, fmt.Errorf("starting the image %s: %w", motoImage, err)
	}
	stop = func() error { // also when ctx is over
		_, err := docker(context.WithoutCancel(ctx), removeWithin, "rm", "--force", id)
		return err
	}
	address, err := docker(ctx, askEngineWithin, "port", id, "5000/tcp")
	if err == nil {
		address, _, _ = strings.Cut(address, "\n")
		url = "http://" + address
		err = await(ctx, motoImage, url, nil)
	}
	if err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return url, stop, nil
}

func docker(ctx context.Context, within time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
