package demo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/host"
)

// Drive lets a simulated mesh live on a running clock until the context ends.
func Drive(ctx context.Context, sim *clustersim.Sim, clock host.Fast) error {
	const atMost = 250 * time.Millisecond // of wall time between two looks
	for {
		now := clock.Now()
		sim.Step(now)
		next := now.Add(time.Duration(float64(atMost) * clock.Rate))
		if at := sim.Next(); !at.IsZero() && at.Before(next) {
			next = at
		}
		// A few milliseconds at least: a due time that has passed must not spin.
		if soonest := clock.Now().Add(time.Duration(float64(2*time.Millisecond) * clock.Rate)); next.Before(soonest) {
			next = soonest
		}
		if err := clock.Until(ctx, next); err != nil {
			return err
		}
	}
}

// WriteFiles writes what a client of a simulated mesh needs to a folder.
func WriteFiles(sim *clustersim.Sim, adminURL, dir string) error {
	files, err := sim.Files(adminURL)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, b := range files {
		if err := replaceFile(filepath.Join(dir, name), b); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile puts a new file, readable by its owner alone, in the place of what
// was there, no matter who might read that. Who reads at this moment sees one or
// the other.
func replaceFile(path string, b []byte) error {
	next, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = next.Write(b)
	if err = errors.Join(err, next.Close()); err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return nil
}

// renewSecret replaces one secret in the file by the simulator's present one,
// and leaves the others as they are.
func renewSecret(sim *clustersim.Sim, path, name string) error {
	files, err := sim.Files("")
	if err != nil {
		return err
	}
	var now, had map[string]json.RawMessage
	if err := json.Unmarshal(files["secrets.json"], &now); err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &had); err != nil {
		return err
	}
	had[name] = now[name]
	out, err := json.MarshalIndent(had, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, out)
}
