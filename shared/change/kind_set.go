package change

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
)

// Set sets one of ICSA's parameters on all nodes of clusters.
const Set Kind = "set"

// parameter is a service parameter that a plan may set.
type parameter struct {
	name    string // as people type it
	purpose string // as the dialect has it
	display string // on Cisco's page
	service string
	since   mesh.Since
	// value reads what a person asked for; the error says what is lawful.
	value func(text string) (string, error)
	shown func(value string) string // as Cisco's page has it
}

// The parameters of ICSA, by their names on Cisco's page.
func parameters() []parameter {
	enabled := func(text string) (string, error) {
		switch strings.ToLower(text) {
		case "on", "enabled", "true":
			return "on", nil
		case "off", "disabled", "false":
			return "off", nil
		}
		return "", fmt.Errorf("want on or off, not %s", plain.Value(text))
	}
	either := func(on, off string) func(string) string {
		return func(v string) string {
			if v == "on" {
				return on
			}
			return off
		}
	}
	return []parameter{
		{"syncInterval", peer.ParamInterval, procedure.IntervalParameter, peer.ICSA, mesh.SinceSyncInterval, func(text string) (string, error) {
			least, most := int(mesh.MinSyncInterval.Minutes()), int(mesh.MaxSyncInterval.Minutes())
			n, err := strconv.Atoi(text)
			if err != nil || n < least || n > most {
				return "", fmt.Errorf("want minutes from %d to %d, not %s", least, most, plain.Value(text))
			}
			return strconv.Itoa(n), nil
		}, func(v string) string { return v }},
		{"autoRecovery", peer.ParamAutoRecovery, procedure.AutoRecoveryParameter, peer.ICSA, mesh.SinceAutoRecovery, enabled, either("Enabled", "Disabled")},
		{"certificateSync", peer.ParamCertSync, procedure.CertificateSyncParameter, peer.ICSA, mesh.SinceCertificateSync, enabled, either("Perform certificate sync", "Do not perform certificate sync")},
	}
}

func set() kind {
	return kind{
		name: Set, usage: "NAME=VALUE [CLUSTER…]",
		about: "set syncInterval (minutes), autoRecovery or certificateSync (on, off) on all nodes of these clusters, or of all",
		mends: []string{"interval-range", "interval-alike", "auto-recovery", "certificate-sync"},
		title: func(h Head) string {
			return fmt.Sprintf("set %s on every node of %s", joined(h.Args[:min(1, len(h.Args))]), plain.List(h.Clusters))
		},
		build: func(k Known, args []string) (*layout, error) {
			if len(args) == 0 {
				return nil, usagef("what is to be set? as in: set syncInterval=45 emea")
			}
			p, value, err := readSetting(args[0])
			if err != nil {
				return nil, err
			}
			clusters, err := clustersOf(k, args[1:])
			if err != nil {
				return nil, err
			}
			l := &layout{Known: k}
			for _, c := range clusters {
				l.clusters = append(l.clusters, c.ID)
				if err := has(k, c, p); err != nil {
					return nil, err
				}
				l.add(Step{Op: OpPreflight, Cluster: c.ID})
				for _, n := range c.Nodes {
					l.add(setOn(k, c, n.Name, p, value))
				}
				if p.purpose == peer.ParamInterval {
					l.add(Step{Op: OpAwaitSync, Cluster: c.ID, Purpose: p.purpose, Value: value})
				}
			}
			return l, nil
		},
	}
}

// setOn is the step that sets a parameter on one node; done where it is known to
// be there already.
func setOn(k Known, c *mesh.Cluster, node mesh.NodeName, p parameter, value string) Step {
	s := Step{Op: OpSet, Cluster: c.ID, Node: node, Service: p.service, Purpose: p.purpose, Value: value}
	if k.Mesh.Dialect != nil {
		if names := k.Mesh.Dialect.Parameters[p.purpose]; len(names) == 1 {
			s.Parameter = names[0]
		}
	}
	if params, ok := k.Nodes[node].Parameters.Get(); ok {
		if got, told := params[p.purpose]; told && Same(p.purpose, got, value) {
			s.Turn(StepDone, k.Now, "it reads %s already", plain.Value(got))
		}
	}
	return s
}

func readSetting(arg string) (parameter, string, error) {
	name, text, ok := strings.Cut(arg, "=")
	if !ok {
		return parameter{}, "", usagef("%s: want NAME=VALUE, as in syncInterval=45", plain.Value(arg))
	}
	all := parameters()
	i := slices.IndexFunc(all, func(p parameter) bool { return strings.EqualFold(p.name, name) })
	if i < 0 {
		var names []string
		for _, p := range all {
			names = append(names, p.name)
		}
		return parameter{}, "", usagef("%s is no parameter that a plan sets: it sets %s", plain.Value(name), plain.List(names))
	}
	value, err := all[i].value(text)
	if err != nil {
		return parameter{}, "", usagef("%s: %v", all[i].name, err)
	}
	return all[i], value, nil
}

// has refuses a plan for a release that lacks the parameter.
func has(k Known, c *mesh.Cluster, p parameter) error {
	for _, n := range c.Nodes {
		told, _ := k.Nodes[n.Name].Version.Get()
		if there, known := p.since.In(told, c.Release); known && !there {
			release := told
			if release == "" {
				release = c.Release
			}
			return usagef("%s has no %s: it comes with release %s, and this is %s; upgrade first, or leave %s out", n.Name, p.name, p.since, plain.Value(release), c.ID)
		}
	}
	return nil
}

func clustersOf(k Known, args []string) ([]*mesh.Cluster, error) {
	var out []*mesh.Cluster
	if len(args) == 0 {
		for i := range k.Mesh.Clusters {
			out = append(out, &k.Mesh.Clusters[i])
		}
		return out, nil
	}
	for _, id := range args {
		c, err := cluster(k, id)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, c) {
			return nil, usagef("%s is named twice", c.ID)
		}
		out = append(out, c)
	}
	return out, nil
}

// shownAs is a parameter's name and value as Cisco's page has them.
func (s *Step) shownAs() (name, value string) {
	for _, p := range parameters() {
		if p.purpose == s.Purpose {
			return p.display, p.shown(s.Value)
		}
	}
	for _, p := range sipProxyParameters() {
		if p.purpose == s.Purpose {
			return p.display, s.Value
		}
	}
	return s.Purpose, s.Value
}

// Same says whether a parameter's value in the database is the one that is wanted.
func Same(purpose, got, want string) bool {
	got = strings.TrimSpace(got)
	switch want {
	case "on", "off":
		on, ok := peer.SwitchOn(got)
		return ok && on == (want == "on")
	}
	return got == want
}

// Written is the wanted value as the database would have it, from what stands
// there now. The error says why that cannot be told.
func Written(now, want string) (string, error) {
	now = strings.TrimSpace(now)
	if want != "on" && want != "off" {
		if _, err := strconv.Atoi(now); err != nil {
			return "", fmt.Errorf("%s stands there, which is no number", plain.Value(now))
		}
		return want, nil
	}
	if word, ok := peer.WriteSwitch(now, want == "on"); ok {
		return word, nil
	}
	return "", fmt.Errorf("%s stands there, which is neither on nor off as Peerkeeper knows them", plain.Value(now))
}
