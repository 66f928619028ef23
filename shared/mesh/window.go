package mesh

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Allowed says whether the policy's windows let Peerkeeper act at now, and why
// not. Deny wins over allow; without an allow window every time is allowed.
// A window is a span of local wall time: on the nights on which clocks change
// it is as long as the wall clocks make it.
func (p *Policy) Allowed(now time.Time) (bool, string) {
	allows, inside := 0, false
	for _, w := range p.Windows {
		in, err := w.Contains(now)
		if err != nil {
			return false, err.Error() // a window that cannot be read denies
		}
		switch w.Kind {
		case "deny":
			if in {
				return false, fmt.Sprintf("denied by the window %s", w)
			}
		default:
			allows++
			inside = inside || in
		}
	}
	if allows > 0 && !inside {
		return false, "outside every allow window"
	}
	return true, ""
}

// NeverOpen lists the allow windows in which nothing is ever allowed, because
// others deny all of their time. It looks at the eight days from an instant.
func (p *Policy) NeverOpen(from time.Time) []Window {
	var out []Window
	for _, w := range p.Windows {
		if w.Kind == "deny" {
			continue
		}
		open := false
		for at := from; !open && at.Before(from.Add(8*24*time.Hour)); at = at.Add(5 * time.Minute) {
			if in, err := w.Contains(at); err == nil && in {
				open, _ = p.Allowed(at)
			}
		}
		if !open {
			out = append(out, w)
		}
	}
	return out
}

// String writes a window as a person would say it.
func (w Window) String() string {
	days := "every day"
	if len(w.Days) > 0 {
		days = strings.Join(w.Days, ",")
	}
	return fmt.Sprintf("%s %s %s-%s %s", w.Kind, days, w.From, w.To, w.TimeZone)
}

// Contains says whether an instant lies in the window. A window over midnight
// belongs to the day on which it begins.
func (w Window) Contains(at time.Time) (bool, error) {
	zone, err := time.LoadLocation(w.TimeZone)
	if err != nil {
		return false, fmt.Errorf("window %s: %w", w, err)
	}
	from, err := clockMinutes(w.From)
	if err != nil {
		return false, fmt.Errorf("window %s: %w", w, err)
	}
	to, err := clockMinutes(w.To)
	if err != nil {
		return false, fmt.Errorf("window %s: %w", w, err)
	}
	local := at.In(zone)
	minute := local.Hour()*60 + local.Minute()
	if from < to {
		return minute >= from && minute < to && w.on(local.Weekday()), nil
	}
	if minute >= from {
		return w.on(local.Weekday()), nil
	}
	return minute < to && w.on((local.Weekday()+6)%7), nil
}

func (w Window) on(day time.Weekday) bool {
	if len(w.Days) == 0 {
		return true
	}
	for _, d := range w.Days {
		if strings.EqualFold(d, day.String()[:3]) {
			return true
		}
	}
	return false
}

// clockMinutes reads "22:00" as minutes from midnight; "24:00" is the day's end.
func clockMinutes(s string) (int, error) {
	h, m, ok := strings.Cut(s, ":")
	hours, err1 := strconv.Atoi(h)
	minutes, err2 := strconv.Atoi(m)
	if !ok || err1 != nil || err2 != nil || hours < 0 || minutes < 0 || minutes > 59 || hours*60+minutes > 24*60 {
		return 0, fmt.Errorf("%q is no time of day: want HH:MM", s)
	}
	return hours*60 + minutes, nil
}
