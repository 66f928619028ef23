package listener

import (
	"net/netip"
	"sync"
	"time"
)

const (
	triesAtOnce = 5                // wrong tokens of one address before it has to wait
	triesEvery  = 30 * time.Second // then one more
	triesKept   = 4096             // addresses; all others share one account
)

// tries counts wrong tokens, for each address by itself: nobody can lock out
// another. The zero value is ready.
type tries struct {
	mu     sync.Mutex
	of     map[netip.Prefix]*account
	purged time.Time // when those who may try as often as anybody were last forgotten
}

type account struct {
	left float64
	at   time.Time
}

func (a *account) fill(now time.Time) {
	if gone := now.Sub(a.at); gone > 0 {
		a.left = min(triesAtOnce, a.left+float64(gone)/float64(triesEvery))
	}
	a.at = now
}

// account is that of an address. The lock is held.
func (t *tries) account(from netip.Prefix, now time.Time) *account {
	if t.of == nil {
		t.of = map[netip.Prefix]*account{}
	}
	a := t.of[from]
	if a == nil && len(t.of) >= triesKept {
		if now.Sub(t.purged) >= time.Second {
			t.purged = now
			for p, old := range t.of {
				if old.fill(now); old.left >= triesAtOnce {
					delete(t.of, p)
				}
			}
		}
		if len(t.of) >= triesKept {
			from = netip.Prefix{}
			a = t.of[from]
		}
	}
	if a == nil {
		a = &account{left: triesAtOnce, at: now}
		t.of[from] = a
	}
	a.fill(now)
	return a
}

// take uses up one try, if there is one.
func (t *tries) take(from netip.Prefix, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.account(from, now)
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// giveBack returns the try of a token that was right.
func (t *tries) giveBack(from netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.account(from, time.Now())
	a.left = min(triesAtOnce, a.left+1)
}

// wait is how long until an address may try again.
func (t *tries) wait(from netip.Prefix, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.account(from, now)
	if a.left >= 1 {
		return 0
	}
	return time.Duration((1 - a.left) * float64(triesEvery))
}
