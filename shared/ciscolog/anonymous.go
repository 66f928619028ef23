package ciscolog

import (
	"regexp"
	"slices"
	"strings"
)

// keptTags are those whose values name nobody.
var keptTags = [...]string{"appid", "lastsynchronizedtime", "errorcode", "part"}

// Anonymous is the line with names of hosts, clusters, domains, certificates and users replaced, and its form kept: blanks, order, keys, times and the
// sentence. names are further ones to replace, such as those of mesh.yaml. It is for a person who sends the line to somebody else, and who should
// still read it first: what looks like a plain word stays.
func (e Event) Anonymous(names ...string) string {
	tag := regexp.MustCompile(`\[(\s*)([^=\[\]]+?)(\s*=\s*)([^\]]*?)(\s*)\]`)
	line := tag.ReplaceAllStringFunc(e.Raw, func(s string) string {
		m := tag.FindStringSubmatch(s)
		key := tagKey(m[2])
		if m[4] == "" || slices.Contains(keptTags[:], key) {
			return s
		}
		word := "NAME"
		switch {
		case strings.Contains(key, "peer") || key == "hostname":
			word = "PEER"
		case key == "nodeid":
			word = "NODE"
		case strings.Contains(key, "user"):
			word = "USER"
		}
		return "[" + m[1] + m[2] + m[3] + word + m[5] + "]"
	})
	header, _, _ := strings.Cut(e.Raw, "%")
	host := append([]string{e.Host, e.Node, outerHost(strings.Fields(header))}, names...)
	for _, group := range [...]struct {
		word  string
		names []string
	}{{"PEER", []string{e.Peer, e.Existing}}, {"NODE", host}, {"USER", []string{e.User}}, {"NAME", []string{e.Cluster, e.Subject, e.Issuer}}} {
		for _, name := range group.names {
			line = replaced(line, name, group.word)
			if short, _, ok := strings.Cut(name, "."); ok && strings.ContainsFunc(short, isLetter) {
				line = replaced(line, short, group.word)
			}
		}
	}
	line = regexp.MustCompile(`[^\s\[\]=<>"'(),;]+@[^\s\[\]=<>"'(),;]+`).ReplaceAllString(line, "USER")
	line = regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b|\b[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){3,7}\b`).ReplaceAllStringFunc(line, func(s string) string {
		return "ADDRESS"
	})
	return regexp.MustCompile(`\b[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+\b`).ReplaceAllStringFunc(line, func(s string) string {
		first, _, _ := strings.Cut(s, ".")
		last := s[strings.LastIndexByte(s, '.')+1:]
		if !strings.ContainsFunc(last, isLetter) || strings.EqualFold(first, "AM") || strings.EqualFold(first, "PM") {
			return s // a number, or the fraction of a second
		}
		return "NAME"
	})
}

func isLetter(r rune) bool { return r < 0x80 && letter(byte(r)) }

// replaced replaces whole occurrences of name, without regard to case.
func replaced(line, name, word string) string {
	if len(name) < 2 {
		return line
	}
	var b strings.Builder
	lower, wanted := strings.ToLower(line), strings.ToLower(name)
	if len(lower) != len(line) {
		return strings.ReplaceAll(line, name, word) // letters whose two cases differ in length
	}
	for {
		i := strings.Index(lower, wanted)
		if i < 0 {
			b.WriteString(line)
			return b.String()
		}
		end := i + len(wanted)
		if i > 0 && inName(lower, i-1) || end < len(lower) && inName(lower, end) {
			b.WriteString(line[:i+1])
			line, lower = line[i+1:], lower[i+1:]
			continue
		}
		b.WriteString(line[:i] + word)
		line, lower = line[end:], lower[end:]
	}
}
