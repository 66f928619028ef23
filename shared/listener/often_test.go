package listener

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLogSaysOftenOnce: the first at once, the rest once a minute with a count
// and the address that did most.
func TestLogSaysOftenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &lines{}
		o := newOften(slog.New(slog.NewTextHandler(b, nil)))
		said := func() int { synctest.Wait(); return strings.Count(b.String(), "\n") }
		one, two := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
		o.note(kindRefused, one)
		if said() != 1 {
			t.Errorf("after the first: %d lines, want 1", said())
		}
		for range 500 {
			o.note(kindRefused, two)
			o.note(kindRefused, one)
			o.note(kindRefused, two)
		}
		if said() != 1 {
			t.Errorf("after 1,501: %d lines, want 1", said())
		}
		time.Sleep(saidEvery + time.Second)
		if said() != 2 || !strings.Contains(b.String(), "count=1500 most=192.0.2.2 theirs=1000") {
			t.Errorf("after a minute:\n%s", b.String())
		}
		time.Sleep(3 * saidEvery)
		if said() != 2 {
			t.Errorf("quiet minutes are said:\n%s", b.String())
		}
		o.note(kindRefused, one)
		o.note(kindToken, one)
		if said() != 4 {
			t.Errorf("two kinds after quiet minutes:\n%s", b.String())
		}
		o.note(kindToken, one)
		o.stop()
		time.Sleep(2 * saidEvery)
		if said() != 4 {
			t.Errorf("it goes on after its end:\n%s", b.String())
		}
	})
}

// TestNobodyLocksOutAnother: however many addresses try, each counts by itself
// or with those that are too many to be kept.
func TestNobodyLocksOutAnother(t *testing.T) {
	var tr tries
	now := time.Now()
	mine := netip.MustParsePrefix("192.0.2.1/32")
	if !tr.take(mine, now) {
		t.Fatal("no first try")
	}
	at := netip.MustParseAddr("198.18.0.0")
	for range 3 * triesKept {
		p, _ := at.Prefix(32)
		tr.take(p, now)
		at = at.Next()
	}
	if len(tr.of) > triesKept+1 {
		t.Errorf("%d addresses are kept, want at most %d", len(tr.of), triesKept+1)
	}
	for i := range triesAtOnce - 1 {
		if !tr.take(mine, now) {
			t.Errorf("my try %d is gone", i+2)
		}
	}
	if tr.take(mine, now) {
		t.Error("a sixth try")
	}
	if !tr.take(mine, now.Add(triesEvery)) {
		t.Error("no try after half a minute")
	}
}
