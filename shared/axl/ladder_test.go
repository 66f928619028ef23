package axl

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"peerkeeper/shared/soap"
)

// A node that refuses a version and names none is asked in the others, down to
// the one that ICSA speaks, and once it has taken one in that one only.
func TestLadderOfVersionsWhereTheRefusalNamesNone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes []string
		want  string // "" is refused
		asked int    // requests until it answers
	}{
		{"an old release takes 9.1 at best", []string{"8.0", "8.5", "9.0", "9.1"}, "9.1", 9},
		{"only what ICSA sends", []string{"8.0"}, "8.0", 12},
		{"the newest", []string{"15.0"}, "15.0", 2},
		{"none at all", nil, "", 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			c := New(fake(func(req soap.Request) (io.Reader, error) {
				asked++
				version, _, _ := strings.Cut(strings.TrimPrefix(req.Action, `"CUCM:DB ver=`), " ")
				if !slices.Contains(tt.takes, version) || !strings.Contains(string(req.Body), space+version) {
					return nil, &soap.Error{Kind: soap.VersionRefused, Status: 599, Sent: true}
				}
				return strings.NewReader(response(req.Op, "<return/>")), nil
			}), "14.0")
			query := func() error {
				_, err := c.Query(t.Context(), "s", nil, func([][]byte) error { return nil })
				return err
			}
			err := query()
			if asked != tt.asked {
				t.Errorf("%d requests, want %d", asked, tt.asked)
			}
			if tt.want == "" {
				if soap.KindOf(err) != soap.VersionRefused || c.AXLVersion() != "14.0" {
					t.Errorf("%v, speaks %s", err, c.AXLVersion())
				}
				return
			}
			if err != nil || c.AXLVersion() != tt.want {
				t.Fatalf("%v, speaks %s, want %s", err, c.AXLVersion(), tt.want)
			}
			if err := query(); err != nil || asked != tt.asked+1 {
				t.Errorf("asked again in another version: %v, %d requests", err, asked)
			}
		})
	}
	t.Run("a write is not tried in other versions", func(t *testing.T) {
		asked := 0
		c := New(fake(func(soap.Request) (io.Reader, error) {
			asked++
			return nil, &soap.Error{Kind: soap.VersionRefused, Status: 599, Sent: true}
		}), "14.0")
		if _, err := c.Update(t.Context(), "s"); soap.KindOf(err) != soap.VersionRefused || asked != 1 {
			t.Errorf("%v, %d requests", err, asked)
		}
	})
}

// An answer that is not UTF-8 is refused with its cause, and nothing of its rows
// is in the error.
func TestAnswerThatIsNotUTF8(t *testing.T) {
	for name, body := range map[string]string{
		"a byte of Latin-1 in a value":  `<return><row><node>imp-a</node><users>3</users></row><row><node>M` + "\xfc" + `nchen</node><users>4</users></row></return>`,
		"a byte of Latin-1 in a number": `<return><row><node>imp-a</node><users>3</users></row><row><node>secretuser</node><users>4` + "\xfc" + `</users></row></return>`,
	} {
		t.Run(name, func(t *testing.T) {
			rows := 0
			c := New(says(nil, body), "14.0")
			_, err := c.Query(t.Context(), "s", []string{"node", "users"}, func([][]byte) error { rows++; return nil })
			if !errors.Is(err, ErrNotUTF8) || rows != 1 {
				t.Fatalf("%v after %d rows", err, rows)
			}
			for _, row := range []string{"nchen", "secretuser", "imp-a"} {
				if strings.Contains(err.Error(), row) {
					t.Errorf("row data in %q", err)
				}
			}
		})
	}
}
