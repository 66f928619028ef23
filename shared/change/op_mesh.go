package change

import (
	"fmt"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/procedure"
)

// What a plan needs of mesh.yaml.
const (
	OpMeshLines Op = "meshLines"
	OpLayOut    Op = "layOut"
)

func meshLinesOp() op {
	return op{name: OpMeshLines, kind: Manual, lasts: 10 * time.Minute}
}

func meshLinesText() text {
	return text{
		op: OpMeshLines,
		title: func(c context) string {
			switch s := c.step; Kind(s.Purpose) {
			case Join:
				return fmt.Sprintf("mesh.yaml lists %s, with its pairs", s.Cluster)
			case Leave:
				return fmt.Sprintf("mesh.yaml lists %s no more", s.Cluster)
			case Delete:
				return fmt.Sprintf("mesh.yaml pairs %s and %s no more", s.Pair.From, s.Pair.To)
			case Edit:
				return fmt.Sprintf("mesh.yaml has %s for %s and %s", s.Value, s.Pair.From, s.Pair.To)
			}
			return fmt.Sprintf("mesh.yaml pairs %s and %s", c.step.Pair.From, c.step.Pair.To)
		},
		why: func(c context) string {
			if Kind(c.step.Purpose) == Delete && c.mesh.Topology == mesh.FullMesh {
				return "topology: full-mesh cannot leave a pair out, so the pairs that remain are listed before anything is deleted"
			}
			return "what is watched, and what every step is verified by, is what mesh.yaml says"
		},
		how: func(c context) procedure.Step {
			do := "Change mesh.yaml as the lines here show"
			if Kind(c.step.Purpose) == Join {
				host := c.step.Value
				if host == "" {
					host = "HOST"
				}
				do += fmt.Sprintf("; `peerkeeper init --publisher %s --secrets secrets.json --credentials NAME --out new.yaml` finds its nodes and writes its lines whole, but for its id, which is %s; its account goes into the secrets", host, c.step.Cluster)
			}
			do += ". Then put the file in force: restart `peerkeeper run`, or on AWS deploy the environment"
			if Kind(c.step.Purpose) == Join {
				do += " and put the account with put-secret-value"
			}
			return procedure.Step{Do: do + fmt.Sprintf(". `peerkeeper peering show %s` names what is wrong with the file, all at once and by line. The plan goes on with the new file.", c.plan.ID)}
		},
		proof: func(context) string { return "the mesh.yaml in force says so" },
		undo:  func(context) string { return "put the former file in force again" },
	}
}

func layOutOp() op {
	return op{name: OpLayOut, kind: Check, must: "the plan has no further steps without it"}
}

func layOutText() text {
	return text{
		op: OpLayOut,
		title: func(c context) string {
			return fmt.Sprintf("the further steps, from what mesh.yaml says of %s: preflight, users, and pair by pair both entries", c.step.Cluster)
		},
		why: func(context) string {
			return "which nodes the cluster has, and with which clusters it is a pair, stands in mesh.yaml"
		},
		proof: func(context) string { return "the plan shows them" },
	}
}
