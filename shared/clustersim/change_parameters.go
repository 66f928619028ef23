package clustersim

import (
	"strconv"
	"time"
)

// Parameters sets a service parameter, a string, number or boolean; without a
// node on every one that has it, without a service of whichever has that name.
type Parameters struct {
	Node    string `json:"node"`
	Service string `json:"service"`
	Name    string `json:"name"`
	Value   any    `json:"value"`
}

func (in Parameters) apply(s *Sim, c *cluster, _ time.Time) error {
	var value string
	switch v := in.Value.(type) {
	case string:
		value = v
	case int:
		value = strconv.Itoa(v)
	case float64: // as JSON has it
		value = strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		value = boolText(v)
	default:
		return wrong("value", "is missing or no string, number or boolean")
	}
	where, args := "paramname = ? AND fkprocessnode IN (SELECT pkid FROM processnode WHERE systemnode = 'f'", []any{value, in.Name}
	if in.Node != "" {
		n, err := c.nodeField(in.Node)
		if err != nil {
			return err
		}
		where += " AND pkid = ?"
		args = append(args, n.pkid)
	}
	where += ")"
	if in.Service != "" {
		where += " AND tkservice IN (SELECT enum FROM typeservice WHERE nameforcontrol = ?)"
		args = append(args, in.Service)
	}
	rows, err := c.db.exec("UPDATE processconfig SET paramvalue = ? WHERE "+where, args...)
	if err != nil {
		return simulatorError(err)
	}
	if rows == 0 {
		return wrong("name", "no parameter %q of service %q on node %q", in.Name, in.Service, in.Node)
	}
	s.readParameters(c)
	return nil
}
