package ciscolog

import (
	"bytes"
	"hash/fnv"
	"strings"
	"time"
)

// Parse reads one line, stored or pushed, without its end. ok is false for a line that is no alarm, or in which an alarm is only quoted: RTMT
// repeats other alarms inside its own, and the original stands in the same file [T]. reference is when the line was read by the clock of the
// node that wrote it; it serves for a missing year alone.
func Parse(line []byte, reference time.Time) (e Event, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	h, ok := heading(line)
	if !ok || quoted(line[:h.start]) {
		return Event{}, false
	}
	sum := fnv.New64a()
	_, _ = sum.Write(line) // a hash takes everything
	e = Event{Severity: h.severity, Line: sum.Sum64()}
	// One copy serves all strings of the event. What stands before the alarm is made valid by itself, so that the places found still hold.
	before, text := strings.ToValidUTF8(string(line[:h.start]), "\uFFFD"), strings.ToValidUTF8(string(line[h.start+1:]), "\uFFFD")
	e.Raw = before + "%" + text
	text = e.Raw[len(before)+1:]
	e.Facility = facility(text[:h.facility])
	e.Alarm = named(text[h.facility+len("-n-") : h.name])
	e.header(before, reference)
	e.body(strings.TrimLeft(text[h.name:], " \t"))
	return e, true
}

// place is where %FACILITY-n-Name stands in a line: start is that of the percent sign; facility and name end so many bytes after it.
type place struct {
	start, facility, name, severity int
}

// heading finds the first %FACILITY-n-Name of a line. Facilities have one, two or three parts: %UC_ICSA-2-, %CCM_RTMT-RTMT-2- [T].
func heading(line []byte) (place, bool) {
	for from := 0; ; {
		i := bytes.IndexByte(line[from:], '%')
		if i < 0 {
			return place{}, false
		}
		start := from + i
		if h, ok := headingAt(line[start+1:]); ok {
			h.start = start
			return h, true
		}
		from = start + 1
	}
}

const maxName = 120 // of a facility or an alarm; the longest known has 47

func headingAt(s []byte) (place, bool) {
	if len(s) == 0 || !letter(s[0]) {
		return place{}, false
	}
	for i := 1; i < len(s) && i <= maxName; i++ {
		c := s[i]
		if c == '-' && i+3 < len(s) && s[i+1] >= '0' && s[i+1] <= '7' && s[i+2] == '-' && letter(s[i+3]) {
			end := i + 3
			for end < len(s) && end-i <= maxName && word(s[end]) {
				end++
			}
			return place{facility: i, name: end, severity: int(s[i+1] - '0')}, true
		}
		if !word(c) {
			return place{}, false
		}
	}
	return place{}, false
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }
func word(c byte) bool   { return letter(c) || digit(c) || c == '_' || c == '-' }

func facility(s string) Facility {
	for _, f := range facilities {
		if strings.EqualFold(s, string(f)) {
			return f
		}
	}
	return Facility(s)
}

// quoted tells whether what stands before an alarm's heading is no header of a line but the text of another message: where a quotation
// was broken into lines, the alarm quoted is the first of its line.
func quoted(before []byte) bool {
	return bytes.ContainsAny(before, "[]=") || bytes.Contains(before, []byte("#012")) || bytes.Contains(before, []byte("MatchedEvent"))
}

// header reads what stands before the alarm: from its end a time, then host and number, which may be absent, in that order.
func (e *Event) header(text string, reference time.Time) {
	if end := strings.IndexByte(text, '>'); strings.HasPrefix(text, "<") && end > 0 {
		text = text[end+1:]
	}
	words := strings.Fields(text)
	for len(words) > 0 && words[len(words)-1] == ":" {
		words = words[:len(words)-1]
	}
	var used int
	e.At, e.Dating, used = instant(words, reference)
	words = words[:len(words)-used]
	for len(words) > 0 && words[len(words)-1] == ":" {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return
	}
	last := strings.TrimSuffix(words[len(words)-1], ":")
	if number(last) {
		e.Seq = last
		e.Host = outerHost(words[:len(words)-1])
		return
	}
	e.Host = last
	if len(words) > 1 {
		if before := words[len(words)-2]; strings.HasSuffix(before, ":") && number(strings.TrimSuffix(before, ":")) {
			e.Seq = strings.TrimSuffix(before, ":")
		}
	}
}

// outerHost is the host that syslogd wrote, which stands before "local7 1": the one that counts where the line has no other.
func outerHost(words []string) string {
	for i := 1; i < len(words); i++ {
		if strings.HasPrefix(words[i], "local") && number(words[i][len("local"):]) {
			return words[i-1]
		}
	}
	return ""
}

func number(s string) bool {
	for i := range len(s) {
		if !digit(s[i]) {
			return false
		}
	}
	return s != ""
}

// body reads tags and sentence.
func (e *Event) body(text string) {
	text = strings.TrimSpace(strings.TrimPrefix(text, ":"))
	e.Rest = text
	e.Text, e.Cut = tags(text, func(key, value string) {
		switch key {
		case "appid":
			e.App = value
		case "clusterid":
			e.Cluster = value
		case "nodeid":
			e.Node = value
		case "remotepeeraddress":
			e.Peer = value
		case "remotepeer", "hostname":
			if e.Peer == "" {
				e.Peer = value
			}
		case "existingpeer":
			e.Existing = value
		case "lastsynchronizedtime":
			e.LastSyncedText = value
		case "subjectcn":
			e.Subject = value
		case "issuercn":
			e.Issuer = value
		case "errorcode":
			e.ErrorCode = value
		case "conflictinguserid":
			e.User = value
		case "part":
			e.Part = value
		}
	})
	e.oldTags()
	if e.LastSyncedText == "" {
		return
	}
	if at, ok := lastSynced(e.LastSyncedText); ok && !e.At.IsZero() && !at.After(e.At) {
		e.LastSynced = at
	}
}

// tags hands over the tags of an alarm, %[key=value][key=value]: text, and returns the sentence after them. Keys come without blanks, in lower
// case and without the UNKNOWN_PARAMNAME: of a name that Cisco's catalogue lacks [V]; any blanks may stand around and between [T], and the
// order may change [V]. cut tells that the line ended before the tags did. A message without tags has neither % nor the second colon [V].
func tags(text string, each func(key, value string)) (sentence string, cut bool) {
	rest, ok := strings.CutPrefix(text, "%")
	if !ok {
		return text, false
	}
	for {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			return "", true
		}
		if rest[0] != '[' {
			break
		}
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return "", true
		}
		key, value, ok := strings.Cut(rest[1:end], "=")
		if ok && strings.HasPrefix(strings.TrimLeft(value, " "), "[") { // an IPv6 address in brackets
			if further := strings.IndexByte(rest[end+1:], ']'); further == 0 {
				value += "]"
				end++
			}
		}
		if ok {
			each(tagKey(key), strings.TrimSpace(value))
		}
		rest = rest[end+1:]
	}
	return strings.TrimSpace(strings.TrimPrefix(rest, ":")), false
}

func tagKey(key string) string {
	key = strings.ToLower(key)
	key = strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\u00a0' {
			return -1
		}
		return r
	}, key)
	return strings.TrimPrefix(key, "unknown_paramname:")
}

// oldTags reads the three names as they stood at the end of a sentence before there were tags: "App ID:a Cluster ID:b Node ID:c" [T].
func (e *Event) oldTags() {
	app := strings.LastIndex(e.Text, "App ID:")
	cluster := strings.LastIndex(e.Text, "Cluster ID:")
	node := strings.LastIndex(e.Text, "Node ID:")
	if app < 0 || cluster < app || node < cluster || e.Node != "" {
		return
	}
	e.App = strings.TrimSpace(e.Text[app+len("App ID:") : cluster])
	e.Cluster = strings.TrimSpace(e.Text[cluster+len("Cluster ID:") : node])
	e.Node = strings.TrimSpace(e.Text[node+len("Node ID:"):])
	e.Text = strings.TrimSpace(e.Text[:app])
}
