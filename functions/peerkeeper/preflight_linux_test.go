package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPersonPastesOnATerminal(t *testing.T) {
	dir := inAMesh(t)
	given := func() *keyboard {
		k := onTerminal(t, dir, "preflight", "paste", "imp-emea-pub.example.com", "--state", "mine.db")
		k.waitFor(t, "Ctrl-D:")
		return k
	}
	k := given()
	k.types(t, "Subcluster Name:\r\x03")
	if code := k.code(t); code != 1 {
		t.Errorf("interrupted: exit %d", code)
	}
	k.waitFor(t, "peerkeeper: interrupted")
	k = given()
	k.types(t, strings.ReplaceAll(pastedHA, "\r\n", "\r")+"\r\x04")
	k.waitFor(t, "taken as the answer of `utils ha status`")
	if code := k.code(t); code != 0 {
		t.Errorf("exit %d", code)
	}
	if _, err := os.Stat(filepath.Join(dir, "mine.db")); errors.Is(err, os.ErrNotExist) {
		t.Error("nothing was kept")
	}
}
