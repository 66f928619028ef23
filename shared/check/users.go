package check

import (
	"slices"

	"peerkeeper/shared/ciscocli"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/userset"
)

// users is what is known of some kinds of users who are not as the chapter wants them: what the audit found, or, where
// it found nothing, what a person pasted of `utils users validate` on any node of the cluster.
func users(what string, troubles []userset.Trouble, kinds ...ciscocli.Problem) func(*Facts, *mesh.Cluster) *verdict {
	return func(f *Facts, c *mesh.Cluster) *verdict {
		audited := f.audited(c, what, troubles)
		if audited != nil && audited.status == Fail {
			return audited
		}
		for _, n := range c.Nodes {
			p, ok := f.pasted(n.Name, ciscocli.Users)
			if !ok {
				continue
			}
			count, named, told := 0, []string{}, false
			for _, kind := range kinds {
				people, has := p.Output.Problems[kind]
				told = told || has
				count += people.Count
				named = append(named, people.First...)
			}
			switch {
			case !told:
			case count > 0:
				return fail(UsersInvalid, peer.Declared, "mend them in Unified CM or its directory; then "+procedure.SystemTroubleshooter+" shows none", "%s: `utils users validate` of %s lists %d, first %s (%s)", what, n.Name, count, plain.First(10, named), p.by())
			default:
				return pass(peer.Declared, "%s: `utils users validate` of %s lists none (%s); TAC has seen it print nothing although the troubleshooter shows some", what, n.Name, p.by())
			}
		}
		if audited != nil {
			return audited
		}
		return unknown(peer.NotChecked, "`utils users validate all` on the command line of "+string(c.Publisher)+", given to `peerkeeper preflight paste "+string(c.Publisher)+"`", "%s of %s: not looked at yet", what, c.ID)
	}
}

// audited is what the audit of users tells of a cluster; nil if it has told nothing of it.
func (f *Facts) audited(c *mesh.Cluster, what string, troubles []userset.Trouble) *verdict {
	if f.Users == nil {
		return nil
	}
	var keys []string
	for _, p := range f.Users.Problems {
		here := slices.ContainsFunc(p.Users, func(u userset.Found) bool { return u.Cluster == c.ID })
		if here && slices.Contains(troubles, p.Kind) {
			keys = append(keys, plain.Value(p.Key))
		}
	}
	if len(keys) > 0 {
		return fail(UsersInvalid, peer.Measured, "mend them in Unified CM or its directory; `peerkeeper audit users` lists all by name", "%s: %d in %s: %s", what, len(keys), c.ID, plain.First(10, keys))
	}
	if f.Users.Read[c.ID] == nil {
		return nil
	}
	for _, gap := range f.Users.Unread {
		if gap.Cluster == c.ID {
			return unknown(peer.RowsIncomplete, "", "%s: none of %s is known, and not all could be read (%s: %s)", what, c.ID, gap.What, gap.Reason)
		}
	}
	return pass(peer.Measured, "%s: none in %s, whose users were read whole at %s", what, c.ID, plain.Time(*f.Users.Read[c.ID]))
}
