package clustersim

import "time"

// Replication sets the state of a node's database replication: 0 initialising, 1
// count incorrect, 2 good, 3 bad, 4 set-up did not succeed. While it is not good
// no certificate reaches the node's trust stores, and when it turns so the node
// says ReplicationFailure.
type Replication struct {
	Node  string `json:"node"`
	State *int   `json:"state"`
}

func (in Replication) apply(s *Sim, c *cluster, now time.Time) error {
	n, err := c.nodeField(in.Node)
	if err != nil {
		return err
	}
	if in.State == nil || *in.State < 0 || *in.State > 4 {
		return wrong("state", "want 0 to 4; 2 is good")
	}
	if n.replication == replicationGood && *in.State != replicationGood {
		l, _, _ := alarmNamed("ReplicationFailure")
		s.logAlarm(n, l, now)
	}
	n.replication = *in.State
	return nil
}
