// Package ciscocli reads what people paste of a node's command line: the answers of the few commands that tell what no
// interface does.
//
// Layouts: `utils users validate` is in Cisco's System Troubleshooter and configuration guides, `utils ha status` in the
// CLI reference, `utils network connectivity` and `utils dbreplication runtimestate` in Cisco TAC's document on database
// replication [V]; the answer to `utils network connectivity HOST PORT` has been seen in no document, and is taken where it
// says accessible or not [K]. Terminals break and indent lines as they like, so that blanks count only where they part two
// columns.
//
// It keeps what tells, bounded, and nothing of the rest. Whatever is none of the four is refused with what was expected; so
// is what belongs to another one, or breaks off before it tells anything.
package ciscocli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"peerkeeper/shared/plain"
)

// MaxBytes is the longest output that is read. Validation of 75,000 users of whom all are wrong is below it.
const MaxBytes = 4 << 20

// Bounds of what is kept of an output.
const (
	maxNodes = 100
	maxKeys  = 10 // of one kind that are named; all are counted
	maxName  = 255
)

// Command is one of the commands.
type Command string

// The commands.
const (
	Connectivity Command = "utils network connectivity"
	Users        Command = "utils users validate"
	HA           Command = "utils ha status"
	Replication  Command = "utils dbreplication runtimestate"
)

// ErrTooLong is an output beyond MaxBytes.
var ErrTooLong = fmt.Errorf("more than %d MB: paste the answer of one command", MaxBytes>>20)

// ErrUnknown is text that is the answer of none of the commands.
var ErrUnknown = errors.New("this is the answer of none of the commands that are understood: `utils network connectivity HOST PORT` (from the prompt on, with \"completed successfully\" or \"accessible\"), `utils users validate all` (its heading \"Users with Duplicate User IDs\"), `utils ha status` (\"Subcluster Name:\"), `utils dbreplication runtimestate` (its table under \"REPLICATION SETUP\")")

// Output is what one answer told. Only the part of its command is set.
type Output struct {
	Command Command `json:"command"`
	// Connections are the other ends that were tried.
	Connections []Connection `json:"connections,omitempty"`
	// Problems are users by kind; a kind that was validated and has none is there with nobody.
	Problems map[Problem]People `json:"problems,omitempty"`
	// States are the words of nodes by name.
	States []State `json:"states,omitempty"`
}

// Connection is one other end that was tried. Port is 0 where the command tested the database's ports.
type Connection struct {
	Host string `json:"host"`
	Port int    `json:"port,omitempty"`
	OK   bool   `json:"ok"`
}

// State is what was said of one node: of high availability in words, of replication by number.
type State struct {
	Node   string `json:"node"`
	Word   string `json:"word"`
	Number int    `json:"number,omitempty"`
}

// Problem is one section of `utils users validate`.
type Problem string

// The sections.
const (
	DuplicateUserIDs Problem = "duplicateUserID"
	NoURI            Problem = "noDirectoryURI"
	InvalidURIs      Problem = "invalidDirectoryURI"
	DuplicateURIs    Problem = "duplicateDirectoryURI"
)

// People are the keys of one problem: user IDs or URIs.
type People struct {
	Count int      `json:"count"`
	First []string `json:"first,omitempty"` // the first ten
}

// Parse reads one pasted text.
func Parse(r io.Reader) (Output, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return Output{}, fmt.Errorf("reading what was pasted: %w", err)
	}
	if len(text) > MaxBytes {
		return Output{}, ErrTooLong
	}
	var found []Output
	for _, read := range []func([]string) (Output, bool){users, replication, ha, connectivity} {
		if out, ok := read(lines(string(text))); ok {
			found = append(found, out)
		}
	}
	switch len(found) {
	case 0:
		return Output{}, ErrUnknown
	case 1:
		return found[0], nil
	}
	var names []string
	for _, f := range found {
		names = append(names, string(f.Command))
	}
	return Output{}, fmt.Errorf("these are the answers of several commands (%s): paste one at a time", plain.List(names))
}

func lines(text string) []string {
	var out []string
	scan := bufio.NewScanner(strings.NewReader(text))
	scan.Buffer(nil, MaxBytes+1)
	for scan.Scan() {
		out = append(out, strings.TrimRight(scan.Text(), " \t\r"))
	}
	return out
}

func name(s string) string { return plain.Line(strings.TrimSpace(s), maxName) }

var headings = map[string]Problem{
	"users with duplicate user ids":               DuplicateUserIDs,
	"users with no directory uri configured":      NoURI,
	"users with invalid directory uri configured": InvalidURIs,
	"users with duplicate directory uris":         DuplicateURIs,
}

// users reads `utils users validate`. Per duplicate: "User ID: x" and its nodes; without a URI: "Node Name: n", the heading
// "User ID", then one each line; invalid: the same with a second column; duplicate URIs: "Directory URI: u" and its users.
func users(all []string) (Output, bool) {
	out := Output{Command: Users, Problems: map[Problem]People{}}
	var in Problem
	below := false // the headings of the columns
	count := func(key string) {
		p := out.Problems[in]
		p.Count++
		if len(p.First) < maxKeys {
			p.First = append(p.First, name(key))
		}
		out.Problems[in] = p
	}
	for _, line := range all {
		text := strings.TrimSpace(line)
		if kind, heading := headings[strings.ToLower(text)]; heading {
			in, below = kind, false
			if _, listed := out.Problems[in]; !listed {
				out.Problems[in] = People{}
			}
			continue
		}
		label, value, labelled := strings.Cut(text, ":")
		label = strings.ToLower(strings.TrimSpace(label))
		switch {
		case in == "" || text == "" || strings.Trim(text, "-") == "" || strings.HasPrefix(text, "admin:"):
		case labelled && label == "node name":
			below = false
		case labelled && label == "user id" && in == DuplicateUserIDs, labelled && label == "directory uri" && in == DuplicateURIs:
			below = false
			count(value)
		case strings.HasPrefix(strings.ToLower(text), "user id"), strings.HasPrefix(strings.ToLower(text), "node name"):
			below = true
		case below && (in == NoURI || in == InvalidURIs):
			count(strings.Fields(text)[0])
		}
	}
	return out, len(out.Problems) > 0
}

// CUCM10   10.1.89.20   0.013   Y/Y/Y   0   (g_2) (2) Setup Completed
var replicationRow = regexp.MustCompile(`^(\S+)\s+\S+\s+.*\((?:g_\d+|-)\)\s*\((\d+|-)\)\s*(.*)$`)

func replication(all []string) (Output, bool) {
	out := Output{Command: Replication}
	for i, line := range all {
		m := replicationRow.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil && i+1 < len(all) { // a row that a narrow terminal has broken
			if first := strings.Fields(line); len(first) > 1 && strings.Count(line, ".") >= 1 && !strings.Contains(line, "(") {
				m = replicationRow.FindStringSubmatch(strings.TrimSpace(line) + " " + strings.TrimSpace(all[i+1]))
			}
		}
		if m == nil || len(out.States) == maxNodes {
			continue
		}
		number, err := strconv.Atoi(m[2])
		if err != nil {
			number = -1 // "-": not known
		}
		out.States = append(out.States, State{Node: name(m[1]), Word: name(m[3]), Number: number})
	}
	return out, len(out.States) > 0
}

// Node 1 Name : kal-cup1 State: Failed Over with Critical Services not Running Reason: Critical Service Down; in other
// releases each on a line of its own, "Name:", "State:", "Reason:".
var (
	haNode  = regexp.MustCompile(`(?i)(?:node\s+\d+\s+)?\bname\s*:\s*(\S+)\s+state\s*:\s*(.*)$`)
	haBegin = regexp.MustCompile(`(?i)(?:node\s+\d+\s+)?\bname\s*:`)
)

func ha(all []string) (Output, bool) {
	out := Output{Command: HA}
	groups := false
	text := ""
	for _, line := range all {
		if rest, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(line)), "subcluster name"); found && strings.HasPrefix(strings.TrimSpace(rest), ":") {
			groups = true
			continue
		}
		text += line + "\n"
	}
	if !groups {
		return out, false
	}
	// One node begins at each "Name:", wherever the lines break.
	starts := haBegin.FindAllStringIndex(text, maxNodes)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		m := haNode.FindStringSubmatch(strings.Join(strings.Fields(text[at[0]:end]), " "))
		if m == nil {
			continue
		}
		word, _, _ := strings.Cut(m[2], "admin:")
		out.States = append(out.States, State{Node: name(m[1]), Word: name(word)})
	}
	return out, len(out.States) > 0
}

var (
	connectivityAsked = regexp.MustCompile(`(?i)utils network connectivity(?:[ \t]+([0-9A-Za-z.:_-]+)(?:[ \t]+(?:port[ \t]+)?(\d{1,5})\b)?)?`)
	connectivityDone  = regexp.MustCompile(`(?i)network connectivity test with (\S+) (completed successfully|[^.\n]*)`)
	accessible        = regexp.MustCompile(`(?i)\b(not accessible|inaccessible|accessible)\b`)
)

// connectivity reads any number of `utils network connectivity`, each from its prompt on: the prompt names the port.
func connectivity(all []string) (Output, bool) {
	out := Output{Command: Connectivity}
	text := strings.Join(all, "\n")
	asked := connectivityAsked.FindAllStringSubmatchIndex(text, maxNodes)
	for i, at := range asked {
		end := len(text)
		if i+1 < len(asked) {
			end = asked[i+1][0]
		}
		var c Connection
		if at[2] >= 0 {
			c.Host = name(text[at[2]:at[3]])
		}
		if at[4] >= 0 {
			c.Port, _ = strconv.Atoi(text[at[4]:at[5]])
		}
		answer := text[at[1]:end]
		if m := connectivityDone.FindStringSubmatch(answer); m != nil {
			if c.Host == "" {
				c.Host = name(m[1])
			}
			c.OK = strings.EqualFold(m[2], "completed successfully")
		} else if m := accessible.FindStringSubmatch(answer); m != nil {
			c.OK = strings.EqualFold(m[1], "accessible")
		} else if strings.Contains(strings.ToLower(answer), "cannot send tcp/udp packets") || strings.Contains(strings.ToLower(answer), "fail") {
			c.OK = false
		} else {
			continue // it broke off
		}
		if c.Host == "" || c.Port > 65535 {
			continue
		}
		// The last word on one end stands.
		out.Connections = slices.DeleteFunc(out.Connections, func(o Connection) bool { return o.Host == c.Host && o.Port == c.Port })
		out.Connections = append(out.Connections, c)
	}
	return out, len(out.Connections) > 0
}

// Lines are what the output told, for people.
func (o Output) Lines() []string {
	var out []string
	for _, c := range o.Connections {
		what := "accessible"
		if !c.OK {
			what = "NOT accessible"
		}
		port := "the database's ports"
		if c.Port != 0 {
			port = "port " + strconv.Itoa(c.Port)
		}
		out = append(out, fmt.Sprintf("%s, %s: %s", c.Host, port, what))
	}
	for _, s := range o.States {
		number := ""
		if o.Command == Replication {
			number = fmt.Sprintf(" (%d)", s.Number)
		}
		out = append(out, fmt.Sprintf("%s: %s%s", s.Node, s.Word, number))
	}
	for _, kind := range []Problem{DuplicateUserIDs, NoURI, InvalidURIs, DuplicateURIs} {
		if p, told := o.Problems[kind]; told {
			out = append(out, fmt.Sprintf("%s: %d %s", kind, p.Count, plain.List(p.First)))
		}
	}
	return out
}
