package alarm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/bolt"
)

const childVariable = "PEERKEEPER_ALARM_CHILD"

// TestChildKeepsTheBook is the process that TestKilledDeliverer kills. It goes
// on where its predecessor was killed: the tick counter lies in the store.
func TestChildKeepsTheBook(t *testing.T) {
	dir := os.Getenv(childVariable)
	if dir == "" {
		return // only a child has work here
	}
	s := openState(t, dir)
	for {
		tick := nextTick(t, s)
		var firing []alarm.Firing
		for i, cluster := range []mesh.ClusterID{"emea", "apac", "amer"} {
			if tick/(i+1)%2 == 0 {
				firing = append(firing, alarm.Firing{Name: alarm.ClusterDown, Cluster: cluster, Message: "no node answers"})
			}
		}
		look(t, s, dir, tick, firing)
	}
}

func openState(t *testing.T, dir string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	s.Now = func() time.Time { return noon }
	return s
}

func nextTick(t *testing.T, s store.Store) int {
	t.Helper()
	doc, _, err := store.Claim(t.Context(), s, store.RunOf("acme", "ticks"), 1, func(d *store.Doc[struct{ Tick int }], _ bool) (bool, error) {
		d.Value.Tick++
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc.Value.Tick
}

// look is one run: ten minutes pass from one to the next, so that the claim of
// a killed deliverer has lapsed.
func look(t *testing.T, s store.Store, dir string, tick int, firing []alarm.Firing) {
	t.Helper()
	now := noon.Add(time.Duration(tick) * 10 * time.Minute)
	_, settleErr := alarm.Settle(t.Context(), s, alarm.Check{Mesh: "acme", Firing: firing, Now: now})
	_, deliverErr := alarm.Deliver(t.Context(), s, "acme", []alarm.Sink{&alarm.Lines{Path: filepath.Join(dir, "alarms.jsonl")}}, clock(now))
	if err := errors.Join(settleErr, deliverErr); err != nil {
		t.Fatal(err)
	}
}

// written is how many lines have been said so far.
func written(dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, "alarms.jsonl"))
	if err != nil {
		return 0
	}
	return bytes.Count(b, []byte("\n"))
}

func TestKilledDeliverer(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const kills = 8
	for round := range kills {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestChildKeepsTheBook$")
		cmd.Env = append(os.Environ(), childVariable+"="+dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The kill comes at another moment of a run each round, once the child has
		// said enough: on a busy machine it may take its time.
		began := written(dir)
		ticker := time.NewTicker(time.Millisecond)
		for late := time.Now().Add(5 * time.Minute); written(dir) < began+10 && time.Now().Before(late); {
			<-ticker.C
		}
		ticker.Stop()
		killer := time.AfterFunc(time.Duration(round)*2300*time.Microsecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		killer.Stop()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v\n%s", err, &out)
		}
	}
	// At the end all is well, and what is pending is sent.
	s := openState(t, dir)
	look(t, s, dir, nextTick(t, s), nil)

	b, err := os.ReadFile(filepath.Join(dir, "alarms.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]alarm.Notice{} // by fingerprint, transition and state
	highest := map[string]int{}
	repeats, torn := 0, 0
	for line := range bytes.Lines(b) {
		var n alarm.Notice
		if err := json.Unmarshal(line, &n); err != nil {
			torn++
			continue
		}
		id := fmt.Sprintf("%s %d %s", n.Fingerprint, n.Transition, n.State)
		if was, again := first[id]; again {
			repeats++
			if was != n {
				t.Errorf("repeated with other words:\n%+v\n%+v", was, n)
			}
			continue
		}
		first[id] = n
		if n.Transition != highest[n.Fingerprint]+1 {
			t.Errorf("%s %s: transition %d was heard after %d", n.Name, n.Cluster, n.Transition, highest[n.Fingerprint])
		}
		highest[n.Fingerprint] = n.Transition
	}
	items, err := alarm.Items(t.Context(), s, "acme")
	if err != nil || len(items) != 3 {
		t.Fatalf("%d alarms in the store, %v", len(items), err)
	}
	for fp, it := range items {
		if it.Active() || len(it.Pending) != 0 {
			t.Errorf("%s is not over: %+v", it.Cluster, it)
		}
		for transition := 1; transition <= it.Transition; transition++ {
			state := alarm.Raised
			if transition%2 == 0 {
				state = alarm.Cleared
			}
			if _, heard := first[fmt.Sprintf("%s %d %s", fp, transition, state)]; !heard {
				t.Errorf("%s: %s %d was lost", it.Cluster, state, transition)
			}
		}
	}
	if len(first) < 10 {
		t.Fatalf("only %d notices: hardly anything was tested", len(first))
	}
	if torn > kills || repeats > 3*kills {
		t.Errorf("%d torn lines and %d repeats in %d kills", torn, repeats, kills)
	}
	t.Logf("%d notices, %d repeats, %d torn lines over %d kills", len(first), repeats, torn, kills)
}
