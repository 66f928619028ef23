package change

import (
	"fmt"
	"time"

	"peerkeeper/shared/procedure"
)

// OpActivate activates a feature service on a node, and OpAwaitAXL waits until it
// answers.
const (
	OpActivate Op = "activate"
	OpAwaitAXL Op = "awaitAXL"
)

func activateOp() op {
	return op{name: OpActivate, kind: Automatic, changes: true, lasts: 2 * time.Minute}
}

func activateText() text {
	return text{
		op:    OpActivate,
		title: func(c context) string { return fmt.Sprintf("activate %s on %s", c.step.Service, c.step.Node) },
		why: func(context) string {
			return "peers read users and certificates over it; when it is activated it makes the intercluster application user, whose name and password the other clusters' entries need"
		},
		how:        func(c context) procedure.Step { return procedure.ActivateService(c.step.Node, c.step.Service) },
		interrupts: func(context) string { return "nothing: the service was not there" },
		proof:      func(context) string { return "Control Center shows it activated" },
		undo: func(c context) string {
			return "deactivate it in " + procedure.Menus(procedure.ServiceActivation)
		},
	}
}

func awaitAXLOp() op {
	return op{name: OpAwaitAXL, kind: Wait, lasts: 2 * time.Minute}
}

func awaitAXLText() text {
	return text{
		op:    OpAwaitAXL,
		title: func(c context) string { return fmt.Sprintf("%s on %s runs", c.step.Service, c.step.Node) },
		why:   func(context) string { return "a service that is activated takes a moment to start" },
		how:   func(c context) procedure.Step { return procedure.CheckService(c.step.Node, c.step.Service) },
		proof: func(context) string { return "Control Center shows it Started" },
	}
}
