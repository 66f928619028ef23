// Package clustersim simulates meshes of Cisco IM and Presence clusters, each
// with a publisher, a subscriber and a CUCM publisher, closely enough that a
// client of AXL, of the Control Center and of certificate management cannot
// tell from the wire.
//
// It owns the simulated world: the databases (true answers to any query), the
// services with their states and up-times, the Intercluster Sync Agents that
// really copy users between clusters on their interval, certificates and the
// trust stores of every node, DNS, and the faults a scenario puts in. Time is
// the given Clock's; work happens in Step only, in the order it falls due, so
// that the same seed and the same steps give the same state.
//
// It never shares code or wire structs with Peerkeeper's clients, never runs
// work on its own, and never dials out. What Cisco does not document is
// invented in invented.go and nowhere else without a label. What it does not
// model it answers as the real interface answers what it does not know (a fault, the
// web server's 404), with a log line and a count in GET /state, never with a guess.
//
// It is a library: New builds a mesh, Start opens its sockets, Change and AddFault
// break and mend it by values, State tells how it stands. The admin URL is the
// same in JSON.
//
// Failures of the simulation itself (not those simulated) come back from New,
// Start, Change, Do, Files and Close; inside Step and requests they are logged, and a
// request gets a 500.
package clustersim
