package mesh

import (
	"testing"
	"time"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPolicyAllowed(t *testing.T) {
	night := Window{Kind: "allow", Days: []string{"mon", "tue", "wed", "thu", "fri"}, From: "22:00", To: "06:00", TimeZone: "Europe/Berlin"}
	freeze := Window{Kind: "deny", From: "00:00", To: "24:00", Days: []string{"wed"}, TimeZone: "Europe/Berlin"}
	early := Window{Kind: "allow", Days: []string{"sun"}, From: "02:00", To: "03:00", TimeZone: "Europe/Berlin"}
	for name, c := range map[string]struct {
		windows []Window
		now     string
		want    bool
	}{
		"no windows: always":                                    {nil, "2026-03-02T12:00:00Z", true},
		"Monday 23:30 local":                                    {[]Window{night}, "2026-03-02T22:30:00Z", true},
		"Monday noon":                                           {[]Window{night}, "2026-03-02T11:00:00Z", false},
		"Saturday 05:00 belongs to Friday's window":             {[]Window{night}, "2026-03-07T04:00:00Z", true},
		"Monday 05:00 belongs to Sunday, which has none":        {[]Window{night}, "2026-03-02T04:00:00Z", false},
		"06:00 is outside":                                      {[]Window{night}, "2026-03-03T05:00:00Z", false},
		"deny wins over allow":                                  {[]Window{night, freeze}, "2026-03-04T22:30:00Z", false},
		"deny alone leaves the other days":                      {[]Window{freeze}, "2026-03-05T12:00:00Z", true},
		"summer time: 22:00 local is 20:00Z":                    {[]Window{night}, "2026-07-06T20:00:00Z", true},
		"winter time: 20:00Z is 21:00 local":                    {[]Window{night}, "2026-01-05T20:00:00Z", false},
		"clocks go forward: 02:00-03:00 does not exist":         {[]Window{early}, "2026-03-29T01:00:00Z", false},
		"clocks go forward: the minute before, 01:59 local":     {[]Window{early}, "2026-03-29T00:59:00Z", false},
		"clocks go back: the first 02:30 is inside":             {[]Window{early}, "2026-10-25T00:30:00Z", true},
		"clocks go back: the second 02:30 is inside as well":    {[]Window{early}, "2026-10-25T01:30:00Z", true},
		"clocks go back: 03:00 after the second pass is not in": {[]Window{early}, "2026-10-25T02:00:00Z", false},
		"an unreadable window denies":                           {[]Window{{Kind: "allow", From: "x", To: "06:00", TimeZone: "UTC"}}, "2026-03-02T12:00:00Z", false},
		"an unknown zone denies":                                {[]Window{{Kind: "deny", From: "01:00", To: "02:00", TimeZone: "Mars/Base"}}, "2026-03-02T12:00:00Z", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := Policy{Windows: c.windows}
			if got, why := p.Allowed(at(t, c.now)); got != c.want {
				t.Errorf("allowed %v (%s), want %v", got, why, c.want)
			}
		})
	}
}
