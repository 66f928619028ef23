package peering_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/clustersim"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
)

const (
	thirdNode  = "imp-emea-sub2.example.com"
	fourthNode = "imp-emea-sub3.example.com"
)

// retold has what a cluster is asked, and what it answers, in other words.
type retold struct {
	next        http.RoundTripper
	asks, tells func(text string) string
}

func (r *retold) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.asks != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewBufferString(r.asks(string(body))))
		req.ContentLength = -1
	}
	res, err := r.next.RoundTrip(req)
	if err != nil || r.tells == nil {
		return res, err
	}
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	text := r.tells(string(answer))
	res.Body, res.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	return res, nil
}

// readsOff has the database of emea tell of the nodes that are then listed that high
// availability is off in their group.
func (r *rig) readsOff() *[]string {
	var nodes []string
	r.clusters = r.Connector()
	r.clusters.Transport = &retold{next: r.clusters.Transport, tells: func(text string) string {
		rows := strings.Split(text, "<row>")
		for i, row := range rows {
			for _, node := range nodes {
				if strings.Contains(row, "<node>"+node+"</node>") {
					rows[i] = strings.Replace(row, "<ha_enabled>t</ha_enabled>", "<ha_enabled>f</ha_enabled>", 1)
				}
			}
		}
		return strings.Join(rows, "<row>")
	}}
	r.begin(nil)
	return &nodes
}

// grown gives emea more nodes: the third is alone in its redundancy group, and in
// that of the third and the fourth high availability is off.
func (r *rig) grown(nodes ...string) {
	r.t.Helper()
	for _, n := range nodes {
		r.Change("emea", clustersim.Nodes{Add: n})
	}
	files, err := r.Sim.Files("")
	if err != nil {
		r.t.Fatal(err)
	}
	m, err := meshfile.Parse("mesh.yaml", files["mesh.yaml"], func(name string) ([]byte, error) { return files[name], nil })
	if err != nil {
		r.t.Fatal(err)
	}
	r.clusters = r.Connector()
	r.under(m)
}

// givenUp is a restart of the router for which high availability was turned off, and
// which was then given up. It gives the step that wants it back.
func (r *rig) givenUp() (id string, back int) {
	r.t.Helper()
	id = r.begun(true)
	r.expect(id, change.Waiting, disableHA)
	r.Change("emea", clustersim.HA{Enabled: ptr(false)})
	r.pass(5 * time.Minute)
	r.say(id, change.Word{Verb: change.Abort})
	back = len(r.plan(id).Steps)
	r.expect(id, change.Waiting, back)
	return id, back
}

// TestAGroupThatWasOffIsNotAskedFor: high availability comes back where it was on,
// and nowhere else; that it is on in another group is no substitute.
func TestAGroupThatWasOffIsNotAskedFor(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	r.grown(thirdNode, fourthNode)
	off := r.readsOff()
	id, back := r.givenUp()
	if p := r.plan(id); !strings.Contains(p.Steps[askHA-1].Evidence, "answered yes") {
		t.Errorf("%+v", p.Steps[askHA-1])
	}
	*off = []string{emeaPub, emeaSub}
	r.Change("emea", clustersim.HA{Enabled: ptr(true)}) // of the wrong group, as the database tells it
	r.pass(10 * time.Minute)
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{back}})
	if p := r.expect(id, change.Waiting, back); !strings.Contains(p.Why, "reads otherwise") || !strings.Contains(p.Why, emeaPub) {
		t.Errorf("%s", p.Why)
	}
	*off = []string{thirdNode, fourthNode}
	r.pass(10 * time.Minute)
	r.expect(id, change.Aborted, 0)
}

// TestANodeThatIsAloneInItsGroupIsNotAskedFor: it cannot be on there.
func TestANodeThatIsAloneInItsGroupIsNotAskedFor(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	r.grown(thirdNode)
	id, back := r.givenUp()
	r.pass(10 * time.Minute)
	r.expect(id, change.Waiting, back) // it reads off for all three
	r.Change("emea", clustersim.HA{Enabled: ptr(true)})
	r.pass(10 * time.Minute)
	p := r.expect(id, change.Aborted, 0)
	if got := p.Steps[back-1].Evidence; !strings.Contains(got, "on for 2 nodes and off for 1") {
		t.Errorf("%s", got)
	}
}

// TestHAThatIsOnlyDeclaredIsAPersonsWord: mesh.yaml says what is meant to be, not
// what somebody has just turned off or on.
func TestHAThatIsOnlyDeclaredIsAPersonsWord(t *testing.T) {
	r := newRig(t, mesh.Recover, clustersim.Config{Users: 200})
	emea, _ := r.Mesh.Cluster("emea")
	emea.HA = mesh.On
	r.clusters = r.Connector()
	r.clusters.Transport = &retold{next: r.clusters.Transport, asks: func(text string) string {
		return strings.ReplaceAll(text, "haenabled", "nosuchcolumn") // an older release
	}}
	r.begin(nil)
	r.watch()
	id := r.begun(true)
	if p := r.expect(id, change.Waiting, disableHA); !strings.Contains(p.Why, "mesh.yaml declares it (ha)") {
		t.Errorf("%s", p.Why)
	}
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{disableHA}})
	if s := r.plan(id).Steps[disableHA-1]; s.State != change.StepDone || !strings.Contains(s.Evidence, "ada says so") {
		t.Errorf("%+v", s)
	}
	r.say(id, change.Word{Verb: change.Abort})
	r.pass(time.Hour)
	if p := r.expect(id, change.Waiting, enableHA); !strings.Contains(p.Why, "confirm") {
		t.Errorf("that mesh.yaml says on is taken for a reading: %s", p.Why)
	}
	r.say(id, change.Word{Verb: change.Confirm, Steps: []int{enableHA}})
	if p := r.expect(id, change.Aborted, 0); !strings.Contains(p.Steps[enableHA-1].Evidence, "ada says so; it cannot be read") {
		t.Errorf("%+v", p.Steps[enableHA-1])
	}
}
