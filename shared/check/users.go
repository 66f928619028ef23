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
// it knows nothing, what a person pasted of `utils users validate` on any node of the cluster.
func users(what string, troubles []userset.Trouble, kinds ...ciscocli.Problem) func(*Facts, *mesh.Cluster) *verdict {
	return func(f *Facts, c *mesh.Cluster) *verdict {
		audited := f.audited(c, what, troubles)
		if audited != nil && audited.status == Fail {
			return audited
		}
		pasted := f.validated(c, what, kinds)
		switch {
		case pasted != nil && pasted.status == Fail:
			return pasted
		case audited != nil && (audited.status == Pass || pasted == nil || pasted.status == Unknown):
			return audited
		case pasted != nil:
			return pasted
		case len(kinds) == 0:
			return unknown(peer.NotChecked, usersRead, "%s of %s: not looked at yet", what, c.ID)
		}
		return unknown(peer.NotChecked, validate(c)+"; or "+usersRead, "%s of %s: not looked at yet", what, c.ID)
	}
}

const usersRead = "wait for peersync, which reads the users of each cluster once a day, and then for preflight"

func validate(c *mesh.Cluster) string {
	return "`utils users validate all` on the command line of " + string(c.Publisher) + ", given to `peerkeeper preflight paste " + string(c.Publisher) + "`"
}

// validated is what people pasted of `utils users validate`; nil if nobody has of these kinds. A fault on any node counts
// before none on another. None was found only where every kind was validated.
func (f *Facts) validated(c *mesh.Cluster, what string, kinds []ciscocli.Problem) *verdict {
	var best *verdict
	for _, n := range c.Nodes {
		p, ok := f.pasted(n.Name, ciscocli.Users)
		if !ok {
			continue
		}
		count, told, named := 0, 0, []string{}
		for _, kind := range kinds {
			if people, has := p.Output.Problems[kind]; has {
				told++
				count += people.Count
				named = append(named, people.First...)
			}
		}
		switch {
		case told == 0:
		case count > 0:
			return fail(UsersInvalid, peer.Declared, "mend them in Unified CM or its directory; then "+procedure.SystemTroubleshooter+" shows none", "%s: `utils users validate` of %s lists %d, first %s (%s)", what, n.Name, count, plain.First(10, named), p.by())
		case told == len(kinds):
			best = pass(peer.Declared, "%s: `utils users validate` of %s lists none (%s); TAC has seen it print nothing although the troubleshooter shows some", what, n.Name, p.by())
		case best == nil:
			best = unknown(peer.NotChecked, validate(c), "%s: `utils users validate` of %s lists none, and was not run for all of it (%s)", what, n.Name, p.by())
		}
	}
	return best
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
	if gap, hidden := f.Users.Hidden(c.ID, troubles...); hidden {
		where := ""
		if gap.Cluster != c.ID && gap.Cluster != "" {
			where = " of " + string(gap.Cluster)
		}
		return unknown(peer.RowsIncomplete, "mend what stands in the way; the next preflight reads them again", "%s: none of %s is known, and not all could be read (%s%s: %s)", what, c.ID, gap.What, where, gap.Reason)
	}
	return pass(peer.Measured, "%s: none in %s, whose users were read whole at %s", what, c.ID, plain.Time(*f.Users.Read[c.ID]))
}
