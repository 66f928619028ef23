package peer

import "strings"

// switches are the ways in which a switch stands in Cisco's database, on before off.
// Which of them a parameter uses is NOT FOUND in Cisco's documents: what stands there
// tells it.
var switches = [...][2]string{{"t", "f"}, {"true", "false"}, {"1", "0"}, {"on", "off"}, {"enabled", "disabled"}}

// SwitchOn reads a switch; ok is false where the value is none that is known.
func SwitchOn(value string) (on, ok bool) {
	value = strings.TrimSpace(value)
	for _, s := range switches {
		if strings.EqualFold(value, s[0]) || strings.EqualFold(value, s[1]) {
			return strings.EqualFold(value, s[0]), true
		}
	}
	return false, false
}

// WriteSwitch is on or off as the switch that reads now would have it, capitals
// included; ok is false where that is none that is known.
func WriteSwitch(now string, on bool) (word string, ok bool) {
	now = strings.TrimSpace(now)
	for _, s := range switches {
		if !strings.EqualFold(now, s[0]) && !strings.EqualFold(now, s[1]) {
			continue
		}
		word = s[1]
		if on {
			word = s[0]
		}
		switch {
		case now == strings.ToLower(now):
		case now == strings.ToUpper(now):
			word = strings.ToUpper(word)
		default:
			word = strings.ToUpper(word[:1]) + word[1:]
		}
		return word, true
	}
	return "", false
}
