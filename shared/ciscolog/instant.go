package ciscolog

import (
	"strconv"
	"strings"
	"time"
)

// ahead is by how much a node's clock may lead ours. A line without a year that lies so little ahead of the reference is of now by a clock
// that leads, or a year old: nobody can say, so it has no instant.
const ahead = 10 * time.Minute

// instant reads the time at the end of words, which are what stands before an alarm:
//
//	Nov 27 2026 10:00:00.123 UTC     stored and pushed [V]; the fraction has one to three digits, or is absent [T]
//	Nov 27 2026 10:00:00 AM.123 UTC  pushed, twelve hours [T]
//	Nov 27 10:00:00.123 UTC          no year [T]
//
// It also tells how many of the words that took, whether or not they made an instant. The local time at the beginning of a stored line is
// never taken: it has no zone.
func instant(words []string, reference time.Time) (at time.Time, how Dating, used int) {
	back := func() string { // the next word from the end
		if used == len(words) {
			return ""
		}
		used++
		return strings.TrimSuffix(words[len(words)-used], ":")
	}
	zone := back()
	half, fraction := "", ""
	clock := back()
	if word, part, _ := strings.Cut(clock, "."); strings.EqualFold(word, "AM") || strings.EqualFold(word, "PM") {
		half, fraction = strings.ToUpper(word), part
		clock = back()
	}
	hms, part, _ := strings.Cut(clock, ".")
	if half == "" {
		fraction = part
	}
	seconds, ok := timeOfDay(hms, half)
	if !ok {
		return time.Time{}, Undated, 0
	}
	year, text := 0, back()
	if len(text) == 4 && number(text) {
		year, _ = strconv.Atoi(text)
		text = back()
	}
	day, err := strconv.Atoi(text)
	if err != nil || !number(text) {
		return time.Time{}, Undated, 0
	}
	month, ok := monthOf(back())
	if !ok {
		return time.Time{}, Undated, 0
	}
	part9, ok := nanoseconds(fraction)
	if !ok {
		return time.Time{}, Undated, used
	}
	offset, ok := offsetOf(zone)
	if !ok {
		return time.Time{}, Undated, used
	}
	in := func(year int) (time.Time, bool) {
		t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		if t.Day() != day || t.Month() != month {
			return time.Time{}, false
		}
		return t.Add(seconds + part9 - offset), true
	}
	if year != 0 {
		if at, ok = in(year); !ok || year < 1990 {
			return time.Time{}, Undated, used
		}
		return at, Dated, used
	}
	if reference.IsZero() {
		return time.Time{}, Undated, used
	}
	for y, tries := reference.UTC().Year()+1, 0; tries < 10; y, tries = y-1, tries+1 { // 29 February may lie eight years back
		at, ok := in(y)
		switch {
		case !ok:
		case !at.After(reference):
			return at, YearAdded, used
		case at.Before(reference.Add(ahead)):
			return time.Time{}, Undated, used
		}
	}
	return time.Time{}, Undated, used
}

// timeOfDay reads HH:MM:SS; half is AM, PM or "" for twenty-four hours.
func timeOfDay(s, half string) (time.Duration, bool) {
	var n [3]int
	for i := range n {
		part, rest, more := strings.Cut(s, ":")
		if len(part) > 2 || !number(part) || more != (i < 2) {
			return 0, false
		}
		n[i], _ = strconv.Atoi(part)
		s = rest
	}
	if half != "" {
		if n[0] < 1 || n[0] > 12 {
			return 0, false
		}
		n[0] %= 12
		if half == "PM" {
			n[0] += 12
		}
	}
	if n[0] > 23 || n[1] > 59 || n[2] > 60 { // 60: a leap second
		return 0, false
	}
	return time.Duration(n[0])*time.Hour + time.Duration(n[1])*time.Minute + time.Duration(n[2])*time.Second, true
}

// nanoseconds reads the digits after the point, of which there may be one to nine, or none at all.
func nanoseconds(digits string) (time.Duration, bool) {
	if digits == "" {
		return 0, true
	}
	if len(digits) > 9 || !number(digits) {
		return 0, false
	}
	n, _ := strconv.Atoi(digits)
	for range 9 - len(digits) {
		n *= 10
	}
	return time.Duration(n), true
}

func monthOf(s string) (time.Month, bool) {
	const names = "JanFebMarAprMayJunJulAugSepOctNovDec"
	if len(s) != 3 {
		return 0, false
	}
	for i := 0; i < len(names); i += 3 {
		if strings.EqualFold(s, names[i:i+3]) {
			return time.Month(i/3 + 1), true
		}
	}
	return 0, false
}

// offsetOf is how far a zone lies east of UTC. Abbreviations other than these are of several zones, and the node's own is not known.
func offsetOf(zone string) (time.Duration, bool) {
	zone = strings.ToUpper(zone)
	switch zone {
	case "UTC", "GMT", "Z":
		return 0, true
	}
	if rest, ok := strings.CutPrefix(zone, "UTC"); ok {
		zone = rest
	} else if rest, ok := strings.CutPrefix(zone, "GMT"); ok {
		zone = rest
	}
	if len(zone) == 6 && zone[3] == ':' {
		zone = zone[:3] + zone[4:]
	}
	if len(zone) != 5 || zone[0] != '+' && zone[0] != '-' || !number(zone[1:]) {
		return 0, false
	}
	n, _ := strconv.Atoi(zone[1:])
	if n/100 > 14 || n%100 > 59 {
		return 0, false
	}
	east := time.Duration(n/100)*time.Hour + time.Duration(n%100)*time.Minute
	if zone[0] == '-' {
		east = -east
	}
	return east, true
}

// lastSynced reads lastSynchronizedTime in the forms that tell one instant. Which form ICSA uses is not documented.
func lastSynced(s string) (time.Time, bool) {
	s = strings.Join(strings.Fields(s), " ")
	if number(s) {
		n, err := strconv.ParseInt(s, 10, 64)
		switch {
		case err != nil:
		case len(s) == 13:
			return plausible(time.UnixMilli(n))
		case len(s) == 10:
			return plausible(time.Unix(n, 0))
		}
		return time.Time{}, false
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999Z0700", "2006-01-02 15:04:05.999Z07:00", "2006-01-02 15:04:05.999Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return plausible(t)
		}
	}
	// A zone by name: it is cut out and read by us, because package time takes any three letters for a zone of no offset.
	words := strings.Split(s, " ")
	for i := len(words) - 1; i > 0; i-- {
		offset, ok := offsetOf(strings.Trim(words[i], "()"))
		if !ok || number(words[i]) {
			continue
		}
		bare := strings.Join(append(append([]string(nil), words[:i]...), words[i+1:]...), " ")
		for _, layout := range [...]string{
			"2006-01-02 15:04:05.999", "2006/01/02 15:04:05.999", "2006-01-02T15:04:05.999",
			"Mon Jan 2 15:04:05 2006", "Mon Jan 2 2006 15:04:05", "Mon, 2 Jan 2006 15:04:05", "2 Jan 2006 15:04:05",
			"Jan 2 2006 15:04:05.999", "Jan 2, 2006 15:04:05.999", "Jan 2, 2006 3:04:05 PM", "Jan 2 2006 3:04:05 PM",
		} {
			if t, err := time.Parse(layout, bare); err == nil {
				return plausible(t.Add(-offset))
			}
		}
		return time.Time{}, false
	}
	return time.Time{}, false
}

// plausible refuses what a counter or an empty field would make of a time.
func plausible(t time.Time) (time.Time, bool) {
	return t.UTC(), t.Year() >= 2000 && t.Year() < 2200
}
