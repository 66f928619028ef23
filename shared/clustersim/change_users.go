package clustersim

import (
	"strings"
	"time"
)

// Users changes who is at home in a cluster. Every change reaches the
// copies at the peers' next syncs only.
type Users struct {
	Add       int    `json:"add"`
	Remove    int    `json:"remove"`
	Duplicate string `json:"duplicate"`
	Unassign  int    `json:"unassign"`
	// Assign gives users who are enabled and have no node the publisher.
	Assign     int    `json:"assign"`
	InvalidURI int    `json:"invalidUri"`
	Move       string `json:"move"`
	To         string `json:"to"`
	// One user of one's choice; what is left out is as of any other.
	UserID       *string `json:"userid"`
	IMAddress    *string `json:"imaddress"`
	DirectoryURI *string `json:"directoryuri"`
	MailID       *string `json:"mailid"`
}

func (in Users) apply(s *Sim, c *cluster, now time.Time) error {
	asked := 0
	for _, set := range []bool{in.Add != 0, in.Remove != 0, in.Duplicate != "", in.Unassign != 0, in.Assign != 0, in.InvalidURI != 0, in.Move != "", in.UserID != nil} {
		if set {
			asked++
		}
	}
	if asked != 1 {
		return wrong("body", "give exactly one of add, remove, duplicate, unassign, assign, invalidUri, move, userid")
	}
	if in.UserID == nil && (in.IMAddress != nil || in.DirectoryURI != nil || in.MailID != nil) {
		return wrong("userid", "is missing: whose address that is")
	}
	if in.To != "" && in.Move == "" {
		return wrong("to", "goes with move only")
	}
	for field, n := range map[string]int{"add": in.Add, "remove": in.Remove, "unassign": in.Unassign, "assign": in.Assign, "invalidUri": in.InvalidURI} {
		if n < 0 || n > 1_000_000 {
			return wrong(field, "%d is not a number of users", n)
		}
	}
	switch {
	case in.Add > 0:
		return simulatorError(s.addUsers(c, s.drawUsers(c, in.Add)))
	case in.Remove > 0:
		// Deleted in the directory: the row stays, inactive.
		return s.changeLast(c, "remove", in.Remove, "status = 0, deletedtimestamp = ?", now.Unix())
	case in.Unassign > 0:
		return s.changeLast(c, "unassign", in.Unassign, "primarynodeid = NULL, tkassignmentstate = 0")
	case in.Assign > 0:
		return s.assign(c, in.Assign)
	case in.InvalidURI > 0:
		return s.changeLast(c, "invalidUri", in.InvalidURI, "directoryuri = 'invalid uri of ' || userid")
	case in.UserID != nil:
		if *in.UserID == "" {
			return wrong("userid", "is empty")
		}
		user := s.drawUsers(c, 1)
		user[0].userid = *in.UserID
		if err := s.addUsers(c, user); err != nil {
			return simulatorError(err)
		}
		for _, field := range []struct {
			column string
			value  *string
		}{{"imaddress", in.IMAddress}, {"directoryuri", in.DirectoryURI}, {"mailid", in.MailID}} {
			if field.value == nil {
				continue
			}
			if _, err := c.db.exec("UPDATE enduser SET "+field.column+" = ? WHERE pkid = ?", *field.value, user[0].pkid); err != nil {
				return simulatorError(err)
			}
		}
		return nil
	case in.Duplicate != "":
		user := s.drawUsers(c, 1)
		user[0].userid = in.Duplicate
		if strings.TrimSpace(in.Duplicate) == "" {
			return wrong("duplicate", "is empty")
		}
		return simulatorError(s.addUsers(c, user))
	}
	return s.moveUser(c, in.Move, in.To)
}

func (s *Sim) addUsers(c *cluster, users []newUser) error {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.homeVersion++
	return c.db.insertUsers(users)
}

// changeLast changes the n home users that were made last.
func (s *Sim) changeLast(c *cluster, field string, n int, change string, args ...any) error {
	if have := s.countHome(c); n > have {
		return wrong(field, "%s has only %d home users", c.id, have)
	}
	// rowid is the order in which rows were made.
	args = append(args, n)
	_, err := c.db.exec("UPDATE enduser SET "+change+" WHERE rowid IN (SELECT rowid FROM enduser WHERE "+c.homeCondition()+" ORDER BY rowid DESC LIMIT ?)", args...)
	c.homeVersion++
	return simulatorError(err)
}

// assign gives the n users without a node that were made last the publisher.
func (s *Sim) assign(c *cluster, n int) error {
	const unassigned = "enablecups = 't' AND status = 1 AND deletedtimestamp IS NULL AND primarynodeid IS NULL"
	rows, err := c.db.rows("SELECT pkid FROM enduser WHERE "+unassigned+" ORDER BY rowid DESC LIMIT ?", n)
	if err != nil {
		return simulatorError(err)
	}
	if len(rows) < n {
		return wrong("assign", "%s has only %d users without a node", c.id, len(rows))
	}
	for _, row := range rows {
		if _, err := c.db.exec("UPDATE enduser SET primarynodeid = ?, tkassignmentstate = 1 WHERE pkid = ?", c.presenceNodes()[0].id, row[0]); err != nil {
			return simulatorError(err)
		}
	}
	c.homeVersion++
	return nil
}

func (s *Sim) moveUser(c *cluster, userid, to string) error {
	target := s.cluster(to)
	if target == nil || target == c {
		return wrong("to", "%q is not another cluster of this mesh", to)
	}
	rows, err := c.db.rows("SELECT pkid, userid FROM enduser WHERE LOWER(userid) = LOWER(?) AND "+c.homeCondition(), userid)
	if err != nil {
		return simulatorError(err)
	}
	if len(rows) != 1 {
		return wrong("move", "%d home users of %s are named %q", len(rows), c.id, userid)
	}
	if _, err := c.db.exec("DELETE FROM enduser WHERE pkid = ?", rows[0][0]); err != nil {
		return simulatorError(err)
	}
	c.homeVersion++
	user := s.drawUsers(target, 1)
	user[0].userid = rows[0][1]
	return simulatorError(s.addUsers(target, user))
}
