package peering

import (
	"testing"
	"time"

	"peerkeeper/shared/change"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
)

func TestTheMeshYAMLInForceMustSayWhatThePlanNeeds(t *testing.T) {
	peersync := func(hash func(m *mesh.Mesh) string) func(s *scene) {
		return func(s *scene) {
			put(s.t, s.Store, store.RunOf(s.Mesh.Name, "peersync"), record.RunSchema, store.Run{ConfigHash: hash(s.Mesh)})
		}
	}
	other := peersync(func(*mesh.Mesh) string { return "0123456789abcdef" })
	same := peersync((*mesh.Mesh).Hash)
	unpaired := func(s *scene) { s.step.Pair = mesh.PeerID{From: "emea", To: "latam"} }
	looked(t, change.Step{Op: change.OpMeshLines, Purpose: string(change.Add), Pair: emeaApac}, []look{
		{"it does", same, change.StepDone, "mesh.yaml pairs emea and apac, as this run has it"},
		{"peersync has not looked yet", nil, change.StepDone, "mesh.yaml pairs emea and apac, as this run has it"},
		{"peersync has looked by another one", other, change.StepRunning, "mesh.yaml pairs emea and apac, as this run has it; peersync has looked by another mesh.yaml"},
		{"it does not", all(unpaired, same), change.StepWaiting, "for a person to do it: mesh.yaml does not pair emea and latam, as this run has it"},
		{"it does not, and peersync's does perhaps", all(unpaired, other), change.StepWaiting, "for a person to do it: mesh.yaml does not pair emea and latam, as this run has it"},
	})
}

func TestTheStepsOfAJoinAreLaidOutOnce(t *testing.T) {
	join := change.Step{Op: change.OpLayOut, Cluster: "amer", Began: ago(time.Minute)}
	joins := func(s *scene) { s.plan.Kind, s.plan.Clusters = change.Join, []mesh.ClusterID{"amer"} }
	without := func(s *scene) { // any entry for amer, or of it
		for _, r := range s.clusters {
			r.Seen.Entries.Value = nil
		}
	}
	laidOut := func(s *scene) {
		s.follows(change.Step{Op: change.OpPreflight, Cluster: "amer"})
		s.step = &s.plan.Steps[0]
	}
	looked(t, join, []look{
		{"amer stands in mesh.yaml", all(joins, without), change.StepDone, " more steps"},
		{"they are laid out already", all(joins, without, laidOut), change.StepDone, "1 more step"},
		{"it has all its entries", joins, change.StepDone, "every cluster that mesh.yaml pairs amer with has its entry for it, and it theirs"},
		{"it is a pair with nobody", all(joins, without, func(s *scene) { s.Mesh.Peers = nil }), change.StepFailed, "mesh.yaml pairs amer with no cluster"},
		{"it does not stand there yet", func(s *scene) { joins(s); s.step.Cluster, s.plan.Clusters[0] = "latam", "latam" }, change.StepWaiting, "mesh.yaml does not list latam, as this run has it"},
	})
	s := newScene(t, join)
	all(joins, without)(s)
	s.looks()
	stored, err := record.LoadPlan(t.Context(), s.Store, s.Mesh.Name, s.plan.ID)
	if err != nil || len(stored.Steps) != len(s.plan.Steps) || len(stored.Steps) < 20 || stored.Steps[0].State == change.StepDone {
		t.Errorf("they are not written down before the step is done: %v", err)
	}
}
