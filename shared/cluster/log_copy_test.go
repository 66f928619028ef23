package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/logcollection"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/soap"
)

// Which copy was the log until it was rotated, however a node names its copies.
func TestWhichCopyIsTheNewest(t *testing.T) {
	for _, c := range []struct {
		name   string
		suffix []string // of files beside the log
		want   string   // "" is none
	}{
		{"none", []string{""}, ""},
		{"numbered", []string{"", ".2", ".1", ".10"}, ".1"},
		{"numbered from zero", []string{"", ".1", ".0"}, ".0"},
		{"by date", []string{"", "-20260301", "-20260302", "-20260228"}, "-20260302"},
		{"by date with dashes", []string{"", ".2026-03-01", ".2026-03-02"}, ".2026-03-02"},
		{"by date, and numbered", []string{"", ".2", "_20260302"}, "_20260302"},
		{"compressed: none that can be read", []string{"", ".1.gz"}, ""},
		{"compressed but for an older one", []string{"", ".1.gz", ".2"}, ".2"},
		{"another file", []string{"", ".old", "Archive"}, ""},
	} {
		var files []logcollection.File
		for _, s := range c.suffix {
			files = append(files, logcollection.File{Path: logPath + s})
		}
		files = append(files, logcollection.File{Path: "/elsewhere/" + logFile + ".0"})
		for range 2 {
			got, ok := newestCopy(files)
			if ok != (c.want != "") || ok && got.Path != logPath+c.want {
				t.Errorf("%s: %q (%v), want %q", c.name, got.Path, ok, c.want)
			}
			slices.Reverse(files)
		}
	}
}

// Of a listing only the log and its copies count, whatever else stands beside them:
// the log first, and then the copies by number.
func TestTheLogAmongOtherFiles(t *testing.T) {
	var list []logcollection.File
	for _, path := range []string{
		"/var/log/active/syslog/messages", logPath + ".10", logPath + ".2", "/var/log/active/elsewhere/CiscoSyslog", logPath,
		logPath + "Archive/messages.1", logPath + ".9", "/var/log/active/syslog/AlternateSyslog",
	} {
		list = append(list, logcollection.File{Path: path, Name: path[strings.LastIndex(path, "/")+1:]})
	}
	var got []string
	for _, f := range syslogFiles(list) {
		got = append(got, f.Path)
	}
	if want := []string{logPath, logPath + ".2", logPath + ".9", logPath + ".10"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Whether a file goes on where the last reading ended: by its line, or, where none
// concerned peers, by when the file begins.
func TestWhereALogGoesOn(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 3, 2, 12, minute, 0, 0, time.UTC) }
	for _, c := range []struct {
		name string
		pass logPass
		had  peer.LogCursor
		want bool
	}{
		{"its line is there", logPass{found: true}, peer.LogCursor{Line: "aa", At: at(10)}, true},
		{"its line is not there", logPass{extent: ciscolog.Extent{First: at(5)}}, peer.LogCursor{Line: "aa", At: at(10)}, false},
		{"no line yet, and the file begins before", logPass{extent: ciscolog.Extent{First: at(5)}}, peer.LogCursor{At: at(10)}, true},
		{"no line yet, and the file begins then", logPass{extent: ciscolog.Extent{First: at(10)}}, peer.LogCursor{At: at(10)}, true},
		{"no line yet, and the file begins after", logPass{extent: ciscolog.Extent{First: at(11)}}, peer.LogCursor{At: at(10)}, false},
		{"no line yet, and the file has no instant", logPass{}, peer.LogCursor{At: at(10)}, false},
		{"nothing was read before", logPass{extent: ciscolog.Extent{First: at(5)}}, peer.LogCursor{}, false},
	} {
		if got := c.pass.continues(c.had); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// How long a node that has refused its log is left alone: a day where only a person
// can mend it, as long as it asks for where it has too much to do, and otherwise
// longer with each failure.
func TestHowLongALogThatIsRefusedIsLeftAlone(t *testing.T) {
	throttled := func(after time.Duration) error {
		return fmt.Errorf("reading: %w", &soap.Error{Kind: soap.Throttled, RetryAfter: after})
	}
	for _, c := range []struct {
		name string
		err  error
		want time.Duration
	}{
		{"a role is missing", &soap.Error{Kind: soap.Forbidden}, 24 * time.Hour},
		{"the service does not run", &soap.Error{Kind: soap.NotFound}, 24 * time.Hour},
		{"there is no such file", &logcollection.NoFileError{}, 24 * time.Hour},
		{"the file is too large: it may be rotated", &logcollection.TooLargeError{}, 30 * time.Minute},
		{"too much to do, and it does not say for how long", throttled(0), 15 * time.Minute},
		{"too much to do for a minute", throttled(time.Minute), 15 * time.Minute},
		{"too much to do for an hour", throttled(time.Hour), time.Hour},
		{"too much to do for a day", throttled(24 * time.Hour), 4 * time.Hour},
		{"no answer", &soap.Error{Kind: soap.Timeout}, 0},
		{"nothing that can be read", &soap.Error{Kind: soap.Malformed}, 0},
	} {
		if got := waitAfter(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
