package plain_test

import (
	"strings"
	"testing"

	"peerkeeper/shared/plain"
)

func TestNearest(t *testing.T) {
	words := []string{"emea", "apac", "amer", "syncInterval", "imp-emea-pub.example.com"}
	for got, want := range map[string]string{
		"emea": "emea", "EMEA": "emea", "emae": "emea", "apca": "apac", "ame": "amer", "amerr": "amer",
		"sync_interval": "syncInterval", "sync-intervall": "syncInterval", "imp-emea-pub.exampel.com": "imp-emea-pub.example.com",
		"latam": "", "": "", "x": "", strings.Repeat("emea", 17): "",
	} {
		if near := plain.Nearest(got, words); near != want {
			t.Errorf("%q: %q, want %q", got, near, want)
		}
	}
	if near := plain.Nearest("emea", nil); near != "" {
		t.Errorf("of no words %q is near", near)
	}
}
