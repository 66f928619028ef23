package dashboard

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files again")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); go test -update writes it again:\n%s", path, diff)
	}
}

func widest(b []byte) int {
	w := 0
	for l := range strings.SplitSeq(string(b), "\n") {
		w = max(w, utf8.RuneCountInString(l))
	}
	return w
}

func TestTextRenderings(t *testing.T) {
	for _, c := range []struct {
		name   string
		scene  *scene
		render func(*bytes.Buffer, *scene, Status) error
		width  int
	}{
		{"status-healthy.txt", newScene(t, 3), func(b *bytes.Buffer, _ *scene, st Status) error { return WriteStatus(b, st, false) }, 80},
		{"status-troubled.txt", troubled(t, 3), func(b *bytes.Buffer, _ *scene, st Status) error { return WriteStatus(b, st, false) }, 80},
		{"status-30.txt", troubled(t, 30), func(b *bytes.Buffer, _ *scene, st Status) error { return WriteStatus(b, st, false) }, 80},
		{"matrix-3.txt", troubled(t, 3), func(b *bytes.Buffer, _ *scene, st Status) error { return WriteMatrix(b, st, false) }, 80},
		{"matrix-3-color.txt", troubled(t, 3), func(b *bytes.Buffer, _ *scene, st Status) error { return WriteMatrix(b, st, true) }, 200},
		{"matrix-30.txt", troubled(t, 30), func(b *bytes.Buffer, _ *scene, st Status) error { return WriteMatrix(b, st, false) }, 120},
		{"explain-stuck.txt", troubled(t, 3), func(b *bytes.Buffer, s *scene, _ Status) error {
			e, err := s.source().Explain(t.Context(), id("apac>emea"), sceneNow)
			if err != nil {
				return err
			}
			return WriteExplain(b, e, false)
		}, 80},
		{"explain-healthy.txt", newScene(t, 3), func(b *bytes.Buffer, s *scene, _ Status) error {
			e, err := s.source().Explain(t.Context(), id("emea>apac"), sceneNow)
			if err != nil {
				return err
			}
			return WriteExplain(b, e, false)
		}, 80},
	} {
		t.Run(c.name, func(t *testing.T) {
			st, err := c.scene.source().Status(t.Context(), sceneNow)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := c.render(&b, c.scene, st); err != nil {
				t.Fatal(err)
			}
			if got := widest(b.Bytes()); got > c.width {
				t.Errorf("%d columns wide, want at most %d", got, c.width)
			}
			golden(t, c.name, b.Bytes())
		})
	}
}
