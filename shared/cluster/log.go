package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/logcollection"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
	"peerkeeper/shared/soap"
)

// What is read of a publisher's log. RTMT calls it Event Viewer-Application Log;
// whether a node lists that among the system's logs or a service's is not known,
// so both are asked.
const (
	logName    = "Event Viewer-Application Log"
	logPath    = "/var/log/active/syslog/CiscoSyslog"
	logFile    = "CiscoSyslog"
	maxLogRead = 16 << 20 // bytes of one file; a larger one would be read to its oldest part only
	maxLogs    = 10       // files that a report names
)

// LogState is what a publisher's log is good for.
type LogState string

// The states of a log.
const (
	LogUsable       LogState = "Usable"       // it holds successes
	LogOnlyFailures LogState = "OnlyFailures" // it holds failures, or may: their level is logged, that of successes is not
	LogNoICSALines  LogState = "NoICSALines"  // it holds nothing of ICSA, or its level lets nothing through any more
	LogTooLarge     LogState = "TooLarge"     // it is not read
	LogUnsupported  LogState = "Unsupported"  // it cannot be read
)

// LogReport is what one publisher's log showed. It is evidence of what is in it;
// of what is not in it, it proves nothing.
type LogReport struct {
	State LogState `json:"state"`
	// Problem, Detail and Fix are set where the log is not all that it could be.
	Problem logcollection.Problem `json:"problem,omitempty"`
	Detail  string                `json:"detail,omitempty"`
	Fix     string                `json:"fix,omitempty"`
	// Level is that of ICSA's Local Syslogs as LevelBy told; "" where nobody could.
	Level   ciscolog.Level        `json:"level,omitempty"`
	LevelBy string                `json:"levelBy,omitempty"`
	Files   []logcollection.File  `json:"files,omitempty"`
	Service logcollection.Service `json:"service,omitempty"` // that gave the file
	Framing string                `json:"framing,omitempty"`
	Bytes   int64                 `json:"bytes,omitempty"`
	Lines   int64                 `json:"lines,omitempty"`
	First   *time.Time            `json:"first,omitempty"` // what the file spans, by its own dated lines
	Last    *time.Time            `json:"last,omitempty"`
	// Successes and Failures are of syncs. Alarms counts ICSA's lines by name.
	Successes int                    `json:"successes"`
	Failures  int                    `json:"failures"`
	Alarms    map[ciscolog.Alarm]int `json:"alarms,omitempty"`
	// Undated lines have no instant that can be read.
	Undated int `json:"undated,omitempty"`
	// Sample is a line of ICSA with names replaced: nobody has published one yet.
	Sample string `json:"sample,omitempty"`
}

// probeLog asks the publisher for its log. Whatever it is refused there is in the
// report and nowhere else: AXL has taken the same account, so a 401 of Log
// Collection means a role that it lacks, and is not tried twice. names are replaced
// in the line that it shows.
func (c *Client) probeLog(ctx context.Context, names []string) LogReport {
	r := LogReport{State: LogUnsupported}
	from, done := c.publisher().log.open(nil)
	defer done()
	r.Level, r.LevelBy, _ = c.logLevel(ctx, c.levelNodes(""))
	files, err := logFiles(ctx, from)
	switch logcollection.ProblemOf(err) {
	case logcollection.None:
		r.Files = files[:min(len(files), maxLogs)]
		if len(files) > 0 && files[0].Size > maxLogRead {
			r.State, r.Problem = LogTooLarge, logcollection.TooLarge
			r.Detail = fmt.Sprintf("%s has %d MB, and at most %d MB are read", files[0].Path, files[0].Size>>20, maxLogRead>>20)
			r.Fix = "on the publisher's CLI, `file list activelog syslog/CiscoSyslog* detail` shows which file does not rotate; a log of this size can only be followed as it is pushed (Remote Syslogs)"
			return r
		}
	case logcollection.NoRole, logcollection.NoAnswer, logcollection.Throttled, logcollection.Other:
		return c.unsupported(r, err)
	}
	// Where the newer service is not there or lists nothing, the file may still be.
	paths := []string{logPath}
	for _, f := range files {
		if f.Path != logPath && f.Size <= maxLogRead {
			paths = append(paths, f.Path)
		}
	}
	for i, path := range paths {
		if i == 2 || i == 1 && len(r.Alarms) > 0 {
			break // the newest copy is looked into only if the file itself holds nothing
		}
		if err := c.reportLog(ctx, from, path, names, &r); err != nil {
			if i > 0 {
				break // what the file itself showed stands
			}
			if logcollection.ProblemOf(err) == logcollection.TooLarge {
				r.State = LogTooLarge
			}
			return c.unsupported(r, err)
		}
	}
	successes, known := ciscolog.Status.LoggedAt(r.Level)
	failures, _ := ciscolog.PeriodicSyncingFailure.LoggedAt(r.Level)
	switch {
	case known && !failures:
		r.State = LogNoICSALines
		r.Detail = fmt.Sprintf("ICSA's Local Syslogs are at level %s (as %s says): neither successes nor failures are logged, and that none is there shows nothing", r.Level, r.LevelBy)
		r.Fix = procedure.LogSyncs(c.cluster.Publisher).Line()
	case known && !successes:
		r.State = LogOnlyFailures
		r.Detail = fmt.Sprintf("ICSA's Local Syslogs are at level %s (as %s says): successes are not logged", r.Level, r.LevelBy)
		r.Fix = procedure.LogSyncs(c.cluster.Publisher).Line()
	case r.Successes > 0:
		r.State = LogUsable
	case len(r.Alarms) > 0:
		r.State = LogOnlyFailures
		r.Detail = "there are lines of ICSA and no success among them"
		r.Fix = procedure.LogSyncs(c.cluster.Publisher).Line()
	default:
		r.State = LogNoICSALines
		r.Detail = "there is no line of ICSA"
		r.Fix = procedure.LogSyncs(c.cluster.Publisher).Line()
	}
	return r
}

// unsupported is a log that cannot be read, and what to do.
func (c *Client) unsupported(r LogReport, err error) LogReport {
	r.Problem, r.Detail = logcollection.ProblemOf(err), plain.Line(err.Error(), 400)
	switch r.Problem {
	case logcollection.NoRole:
		r.Fix = "give the read account the roles " + logcollection.Roles
	case logcollection.NoService:
		r.Fix = "start the network service SOAP - Log Collection APIs on " + string(c.cluster.Publisher)
	case logcollection.Throttled:
		r.Fix = "wait, and probe again"
	}
	return r
}

// levelNodes are whom the level may be asked of: the one that told it last, then
// Unified CM's publisher, then IM and Presence's own.
func (c *Client) levelNodes(last string) []*node {
	var nodes []*node
	for _, n := range []*node{c.cucm, c.publisher()} {
		switch {
		case n == nil:
		case string(n.Name) == last:
			nodes = slices.Insert(nodes, 0, n)
		default:
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// logLevel asks for the level of ICSA's Local Syslogs, one node after the other
// until one tells it. Which of them does is not known, and a refusal means nothing
// but that. Monitors go by the page's names.
func (c *Client) logLevel(ctx context.Context, nodes []*node) (level ciscolog.Level, by string, asked int) {
	for _, n := range nodes {
		asked++
		monitors, err := n.axl.AlarmMonitors(ctx, string(c.cluster.Publisher), "IM and Presence Services", peer.ICSA)
		if err != nil {
			continue
		}
		for _, m := range monitors {
			name := strings.ToLower(m.Name)
			if !strings.Contains(name, "local") || !strings.Contains(name, "syslog") {
				continue
			}
			if !m.Enabled {
				return ciscolog.Off, string(n.Name), asked
			}
			return ciscolog.Level(plain.Line(m.Level, 40)), string(n.Name), asked
		}
	}
	return "", "", asked
}

// logLists are the two lists in which the log may stand, and how a peer.LogWay
// names them.
var logLists = [...]struct {
	name      string
	selection logcollection.Selection
}{
	{"systems", logcollection.Selection{Systems: []string{logName}}},
	{"services", logcollection.Selection{Services: []string{logName}}},
}

// syslogFiles are CiscoSyslog and its copies of a listing, the file itself first
// and then the copies by name.
func syslogFiles(list []logcollection.File) []logcollection.File {
	var found []logcollection.File
	for _, f := range list {
		if strings.HasPrefix(f.Path, logPath) && strings.HasPrefix(f.Name, logFile) {
			f.Name, f.Modified = plain.Line(f.Name, 100), plain.Line(f.Modified, 60)
			found = append(found, f)
		}
	}
	slices.SortStableFunc(found, func(a, b logcollection.File) int {
		if d := len(a.Path) - len(b.Path); d != 0 {
			return d // .9 before .10
		}
		return strings.Compare(a.Path, b.Path)
	})
	return found
}

// logFiles lists CiscoSyslog and its copies on the publisher.
func logFiles(ctx context.Context, from *logcollection.Client) ([]logcollection.File, error) {
	for _, list := range logLists {
		files, err := from.Files(ctx, list.selection)
		if err != nil {
			return nil, err
		}
		if files = syslogFiles(files); len(files) > 0 {
			return files, nil
		}
	}
	return nil, nil
}

// logServices give a file, the newer one first.
var logServices = [...]logcollection.Service{logcollection.New, logcollection.Old}

// scanned is one file, read to its end.
type scanned struct {
	service logcollection.Service
	got     logcollection.Extent
	log     ciscolog.Extent
}

// scanLog reads one file by the first of the services that gives it. Each attempt
// begins again with what begin gives, to which its events go. An account that is
// refused is not tried at the next service.
func (c *Client) scanLog(ctx context.Context, from *logcollection.Client, services []logcollection.Service, path string, most int64, begin func() func(ciscolog.Event)) (scanned, error) {
	err := errors.New("no service gave the file")
	for _, service := range services {
		s := scanned{service: service}
		s.got, err = from.File(ctx, service, path, most, func(body io.Reader) error {
			take := begin()
			var err error
			s.log, err = ciscolog.Scan(body, c.nodeTime(c.publisher()), func(e ciscolog.Event) error {
				take(e)
				return nil
			})
			return err
		})
		switch logcollection.ProblemOf(err) {
		case logcollection.None:
			return s, nil
		case logcollection.NoService, logcollection.Unreadable, logcollection.Refused:
		default:
			return scanned{}, err
		}
	}
	return scanned{}, err
}

// reportLog reads one file into the report.
func (c *Client) reportLog(ctx context.Context, from *logcollection.Client, path string, names []string, r *LogReport) error {
	services := logServices[:]
	if r.Service != "" {
		services = []logcollection.Service{r.Service}
	}
	var part LogReport
	s, err := c.scanLog(ctx, from, services, path, maxLogRead, func() func(ciscolog.Event) {
		part = *r
		part.Alarms = map[ciscolog.Alarm]int{}
		return func(e ciscolog.Event) { part.count(e, names) }
	})
	if err != nil {
		return err
	}
	part.Service, part.Framing = s.service, s.got.Framing
	part.Bytes += s.got.Bytes
	part.Lines += s.log.Lines
	part.span(s.log)
	if len(part.Alarms) == 0 {
		part.Alarms = nil
	}
	*r = part
	return nil
}

// nodeTime is now by the node's own clock, as far as an earlier answer told it.
func (c *Client) nodeTime(n *node) time.Time {
	skew, _ := n.skew.get()
	return c.now().Add(skew)
}

func (r *LogReport) span(x ciscolog.Extent) {
	if !x.First.IsZero() && (r.First == nil || x.First.Before(*r.First)) {
		r.First = &x.First
	}
	if !x.Last.IsZero() && (r.Last == nil || x.Last.After(*r.Last)) {
		r.Last = &x.Last
	}
}

// maxAlarms bounds the names that a report counts: they are the node's to choose.
const maxAlarms = 50

func (r *LogReport) count(e ciscolog.Event, names []string) {
	if e.Facility != ciscolog.ICSA {
		return
	}
	name := ciscolog.Alarm(plain.Line(string(e.Alarm), 80))
	if _, known := r.Alarms[name]; known || len(r.Alarms) < maxAlarms {
		r.Alarms[name]++
	}
	if e.Dating == ciscolog.Undated {
		r.Undated++
	}
	outcome := e.Outcome()
	switch outcome {
	case ciscolog.Succeeded:
		r.Successes++
	case ciscolog.Failed:
		r.Failures++
	}
	if r.Sample == "" || outcome == ciscolog.Succeeded && r.Successes == 1 {
		r.Sample = plain.Line(e.Anonymous(names...), 1000)
	}
}

// namesIn are all names and addresses of a mesh, the longest first: a line that is
// sent to somebody else tells of none.
func namesIn(m *mesh.Mesh) []string {
	names := append([]string{m.Name, m.Domain, m.DNSDomain}, m.Domains...)
	for _, c := range m.Clusters {
		names = append(append(append(names, string(c.ID)), c.SyslogFrom...), c.DNS...)
		nodes := c.Nodes
		if c.CUCM != nil {
			nodes = append(slices.Clone(nodes), *c.CUCM)
		}
		for _, n := range nodes {
			names = append(names, string(n.Name), n.ServerName())
			for _, address := range []string{n.Address, n.PlatformAddress} {
				host, _, _ := net.SplitHostPort(address) // "" of one that is not set
				names = append(names, host)
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(names)
}

// nodeLog is a node's way to its log files. It is opened by the one who asks: a
// Lambda that reads no log does not link what reads one.
type nodeLog struct {
	endpoint soap.Endpoint
	// limited keeps to the node's turn: it is asked one thing at a time.
	limited func(soap.RoundTripper) soap.RoundTripper
}

// open gives a client, and what ends it; cost counts what it sends, where it is
// not nil. Turns at a log are half an hour apart, as long as a session lasts: each
// logs in again. A log is never asked for at once again, so there is no retry.
func (l *nodeLog) open(cost *soap.Counter) (*logcollection.Client, func()) {
	wire := logcollection.NewWire(l.endpoint)
	var to soap.RoundTripper = wire
	if cost != nil {
		to = soap.Trace(to, cost.Add)
	}
	return logcollection.NewClient(l.limited(to)), wire.Close
}
