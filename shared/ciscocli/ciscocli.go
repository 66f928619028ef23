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
// is an answer that breaks off, for what is missing of it might be what is wrong: the line and what to do are said.
package ciscocli

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

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

// ErrNothing is no text at all.
var ErrNothing = errors.New("nothing was pasted: give the answer of one command, from its prompt up to and with the next prompt (admin:)")

// ErrTooLong is an output beyond MaxBytes.
var ErrTooLong = fmt.Errorf("more than %d MB: paste the answer of one command", MaxBytes>>20)

// ErrUnknown is text that is the answer of none of the commands.
var ErrUnknown = errors.New("this is the answer of none of the commands that are understood: `utils network connectivity HOST PORT` (from the prompt on, with \"completed successfully\" or \"accessible\"), `utils users validate all` (its heading \"Users with Duplicate User IDs\"), `utils ha status` (\"Subcluster Name:\"), `utils dbreplication runtimestate` (its table under \"REPLICATION SETUP\")")

// ErrCut is an answer that breaks off: what is missing might be what is wrong.
var ErrCut = errors.New("paste it whole, up to and with the next prompt (admin:)")

func cut(line int, c Command, format string, args ...any) error {
	return fmt.Errorf("line %d: the answer of `%s` breaks off: %s; %w", line, c, fmt.Sprintf(format, args...), ErrCut)
}

// Output is what one answer told. Only the part of its command is set.
type Output struct {
	Command Command `json:"command"`
	// Connections are the other ends that were tried.
	Connections []Connection `json:"connections,omitempty"`
	// Problems are users by kind; a kind that was validated and has none is there with nobody.
	Problems map[Problem]People `json:"problems,omitempty"`
	// States are the words of nodes by name.
	States []State `json:"states,omitempty"`
	// Nodes are those that the answer speaks of as the node's own cluster prints them, each once; not of connectivity.
	// Some users of another cluster's nodes may be among them.
	Nodes []string `json:"-"`
}

func (o *Output) speaksOf(node string) {
	if node = name(node); node != "" && len(o.Nodes) < maxNodes && !slices.Contains(o.Nodes, node) {
		o.Nodes = append(o.Nodes, node)
	}
}

// Connection is one other end that was tried. Port is 0 where the command tested the database's ports.
type Connection struct {
	Host string `json:"host"`
	Port int    `json:"port,omitempty"`
	OK   bool   `json:"ok"`
}

// State is what was said of one node: of high availability in words, of replication by number, with its address.
type State struct {
	Node    string `json:"node"`
	Address string `json:"address,omitempty"`
	Word    string `json:"word"`
	Number  int    `json:"number,omitempty"`
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

// readers read one command each: false is the answer of another one, an error one of this command that tells too little.
var readers = []func([]string) (Output, bool, error){users, replication, ha, connectivity}

// Parse reads one pasted text.
func Parse(r io.Reader) (Output, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return Output{}, fmt.Errorf("reading what was pasted: %w", err)
	}
	if len(raw) > MaxBytes {
		return Output{}, ErrTooLong
	}
	text := decode(raw)
	if strings.TrimSpace(text) == "" {
		return Output{}, ErrNothing
	}
	all := strings.Split(text, "\n")
	var found []Output
	for _, read := range readers {
		out, ok, trouble := read(all)
		if ok {
			found, err = append(found, out), trouble
		}
	}
	switch len(found) {
	case 0:
		return Output{}, ErrUnknown
	case 1:
		if err != nil {
			return Output{}, err
		}
		return found[0], nil
	}
	var names []string
	for _, f := range found {
		names = append(names, string(f.Command))
	}
	return Output{}, fmt.Errorf("these are the answers of several commands (%s): paste one at a time", plain.List(names))
}

// escape is what a terminal's program writes for the terminal alone.
var escape = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>])`)

// decode gives the text of a file as terminals and their programs write it: UTF-16 where it says so, as PowerShell's ">"
// does, any ends of lines, and colours, which are left out.
func decode(raw []byte) string {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(raw, []byte{0xfe, 0xff}):
		order = binary.BigEndian
		fallthrough
	case bytes.HasPrefix(raw, []byte{0xff, 0xfe}):
		var units []uint16
		for raw = raw[2:]; len(raw) > 1; raw = raw[2:] {
			units = append(units, order.Uint16(raw))
		}
		raw = []byte(string(utf16.Decode(units)))
	}
	text := strings.TrimPrefix(string(raw), "\ufeff")
	if strings.Contains(text, "\x1b") {
		text = escape.ReplaceAllString(text, "")
	}
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
}

// prompt reports a line at which the node waits for the next command, or that has one.
func prompt(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "admin:") }

func name(s string) string { return plain.Line(strings.TrimSpace(s), maxName) }

// sections are those of `utils users validate` by their headings, in Cisco's order.
var sections = []struct {
	kind    Problem
	heading string
}{
	{DuplicateUserIDs, "Users with Duplicate User IDs"},
	{NoURI, "Users with No Directory URI Configured"},
	{InvalidURIs, "Users with Invalid Directory URI Configured"},
	{DuplicateURIs, "Users with Duplicate Directory URIs"},
}

// sectionOf is the section that a line begins; "" if it begins none.
func sectionOf(line string) Problem {
	for _, s := range sections {
		if strings.EqualFold(line, s.heading) {
			return s.kind
		}
	}
	return ""
}

var columns = regexp.MustCompile(`\t| {2,}`)

// users reads `utils users validate`. Per duplicate: "User ID: x" and its nodes; without a URI: "Node Name: n", the heading
// "User ID", then one each line; invalid: the same with a second column; duplicate URIs: "Directory URI: u" and its users.
// Where the next prompt is missing, more of the last section may be.
func users(all []string) (Output, bool, error) {
	out := Output{Command: Users, Problems: map[Problem]People{}}
	var in Problem
	heading := 0   // the last one's line
	below := false // the headings of the columns
	asked, silent := 0, 0
	count := func(key string) {
		p := out.Problems[in]
		p.Count++
		if len(p.First) < maxKeys {
			p.First = append(p.First, name(key))
		}
		out.Problems[in] = p
	}
	for i, line := range all {
		text := strings.TrimSpace(line)
		lower := strings.ToLower(text)
		if kind := sectionOf(text); kind != "" {
			in, below, heading = kind, false, i+1
			if _, listed := out.Problems[in]; !listed {
				out.Problems[in] = People{}
			}
			continue
		}
		label, value, labelled := strings.Cut(text, ":")
		label = strings.ToLower(strings.TrimSpace(label))
		switch {
		case prompt(text):
			if asked > 0 && len(out.Problems) == 0 {
				silent = asked
			}
			if in, asked = "", 0; strings.Contains(lower, string(Users)) {
				asked = i + 1
			}
		case in == "" || text == "" || strings.Trim(text, "-") == "":
		case labelled && label == "node name":
			below = false
			out.speaksOf(value)
		case labelled && label == "user id" && in == DuplicateUserIDs, labelled && label == "directory uri" && in == DuplicateURIs:
			below = false
			count(value)
		case strings.HasPrefix(lower, "user id"), strings.HasPrefix(lower, "node name"):
			below = true
		case below && in == NoURI:
			count(text)
		case below && in == InvalidURIs:
			if id, _, two := strings.Cut(columns.ReplaceAllString(text, "\t"), "\t"); two {
				count(id)
			} else {
				count(strings.Fields(text)[0])
			}
		case below:
			out.speaksOf(strings.Fields(text)[0])
		}
	}
	switch {
	case in != "":
		return out, true, cut(heading, Users, "no prompt follows the section %q", strings.TrimSpace(all[heading-1]))
	case len(out.Problems) == 0 && asked > 0:
		return out, true, cut(asked, Users, "no section follows")
	case len(out.Problems) == 0 && silent > 0:
		return out, true, fmt.Errorf("line %d: `%s` has printed no section; that happens although the User Troubleshooter of the node shows some (Cisco TAC), so it says nothing: look there", silent, Users)
	}
	return out, len(out.Problems) > 0, nil
}

// CUCM10   10.1.89.20   0.013   Y/Y/Y   0   (g_2) (2) Setup Completed
var replicationRow = regexp.MustCompile(`^(\S+)\s+(\S+)\s+.*\((?:g_\d+|-)\)\s*\((\d+|-)\)\s*(.*)$`)

func replication(all []string) (Output, bool, error) {
	out := Output{Command: Replication}
	table := 0
	for i, line := range all {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "REPLICATION SETUP") {
			table = i + 1
		}
		if !strings.Contains(line, "(") && strings.Contains(line, ".") && i+1 < len(all) { // a row that a narrow terminal has broken
			line += " " + strings.TrimSpace(all[i+1])
		}
		if len(out.States) == maxNodes || !strings.Contains(line, "(") {
			continue
		}
		m := replicationRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		number, err := strconv.Atoi(m[3])
		if err != nil {
			number = -1 // "-": not known
		}
		out.States = append(out.States, State{Node: name(m[1]), Address: name(m[2]), Word: name(m[4]), Number: number})
		out.speaksOf(m[1])
		out.speaksOf(m[2])
	}
	if len(out.States) == 0 && table > 0 {
		return out, true, cut(table, Replication, "no server follows the heading REPLICATION SETUP")
	}
	return out, len(out.States) > 0, nil
}

// Node 1 Name : kal-cup1 State: Failed Over with Critical Services not Running Reason: Critical Service Down; in other
// releases each on a line of its own, "Name:", "State:", "Reason:".
var (
	haNode  = regexp.MustCompile(`(?i)(?:node\s+\d+\s+)?\bname\s*:\s*(\S+)\s*(?:state\s*:\s*(.*))?$`)
	haBegin = regexp.MustCompile(`(?i)(?:node\s+\d+\s+)?\bname\s*:`)
	haGroup = regexp.MustCompile(`(?i)^\s*subcluster name\s*:`)
)

func ha(all []string) (Output, bool, error) {
	out := Output{Command: HA}
	group := 0
	var rest []string // without the groups' names
	for i, line := range all {
		if haGroup.MatchString(line) {
			group, line = i+1, ""
		}
		rest = append(rest, line)
	}
	if group == 0 {
		return out, false, nil
	}
	// One node begins at each "Name:", wherever the lines break.
	text := strings.Join(rest, "\n")
	starts := haBegin.FindAllStringIndex(text, maxNodes)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		said, _, prompted := strings.Cut(text[at[0]:end], "admin:")
		m := haNode.FindStringSubmatch(strings.Join(strings.Fields(said), " "))
		if m == nil {
			continue
		}
		line := 1 + strings.Count(text[:at[0]], "\n")
		switch last := end == len(text) && !prompted; {
		case m[2] == "":
			return out, true, cut(line, HA, "%s has no state", plain.Value(m[1]))
		case last && !strings.HasSuffix(said, "\n"):
			return out, true, cut(line, HA, "the state of %s may go on", plain.Value(m[1]))
		}
		out.States = append(out.States, State{Node: name(m[1]), Word: name(m[2])})
		out.speaksOf(m[1])
	}
	if len(out.States) == 0 {
		return out, true, cut(group, HA, "no node follows \"Subcluster Name:\"")
	}
	return out, true, nil
}

var (
	connectivityAsked = regexp.MustCompile(`(?i)utils network connectivity(?:[ \t]+([0-9A-Za-z.:_-]+)(?:[ \t]+(?:port[ \t]+)?(\d{1,5})\b)?)?`)
	connectivityDone  = regexp.MustCompile(`(?i)network connectivity test with (\S+) (completed successfully|[^.\n]*[.\n])`)
	accessible        = regexp.MustCompile(`(?i)\b(not accessible|inaccessible|accessible)\b`)
	connectivityFails = regexp.MustCompile(`(?i)cannot send tcp/udp packets|\bfail(?:s|ed|ure)?\b`)
)

// connectivity reads any number of `utils network connectivity`, each from its prompt on: the prompt names the port.
func connectivity(all []string) (Output, bool, error) {
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
		line := 1 + strings.Count(text[:at[0]], "\n")
		if m := connectivityDone.FindStringSubmatch(answer); m != nil {
			if c.Host == "" {
				c.Host = name(m[1])
			}
			c.OK = strings.EqualFold(m[2], "completed successfully")
		} else if m := accessible.FindStringSubmatch(answer); m != nil {
			c.OK = strings.EqualFold(m[1], "accessible")
		} else if !connectivityFails.MatchString(answer) {
			return out, true, cut(line, Connectivity, "it does not say whether %s is accessible", plain.Value(c.Host))
		}
		if c.Host == "" || c.Port > 65535 {
			return out, true, fmt.Errorf("line %d: this `%s` names no host, or a port that is none: paste it from its prompt on", line, Connectivity)
		}
		// The last word on one end stands.
		out.Connections = slices.DeleteFunc(out.Connections, func(o Connection) bool { return o.Host == c.Host && o.Port == c.Port })
		out.Connections = append(out.Connections, c)
	}
	return out, len(asked) > 0, nil
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
	for _, section := range sections {
		switch p, told := o.Problems[section.kind]; {
		case !told:
		case p.Count == 0:
			out = append(out, section.heading+": none")
		default:
			out = append(out, fmt.Sprintf("%s: %d: %s", section.heading, p.Count, plain.List(p.First)))
		}
	}
	return out
}
