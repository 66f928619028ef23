package peer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/ciscolog"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/plain"
	"peerkeeper/shared/procedure"
)

// Rung is a step of the ladder by which a stuck peer is brought back.
type Rung string

// The rungs, from the bottom up.
const (
	RungWait     Rung = "wait"          // something that a restart turns on is not known
	RungCisco    Rung = "ciscoRecovery" // ICSA's own recovery is awaited, or was seen
	RungWithheld Rung = "withheld"      // the data are equal: no restart of ours
	RungForce    Rung = "forceSync"     // a person presses Force Manual Sync: the button has no interface
	RungRestart  Rung = "restartICSA"
	RungHuman    Rung = "human"
)

// Ladder is how far up the ladder a stuck peer is, and what has been tried in
// this incident already: the gate forgets after a day, an incident may not.
type Ladder struct {
	Rung     Rung      `json:"rung"`
	Entered  time.Time `json:"entered"`
	ProveBy  time.Time `json:"proveBy,omitzero"` // by then the rung must have helped
	Until    time.Time `json:"until,omitzero"`   // Cooling: nothing is done before
	Evidence string    `json:"evidence"`

	// Incident names what is being repaired: the last success that was not
	// followed by another. A later success ends it, a flicker of a condition
	// does not.
	Incident time.Time `json:"incident,omitzero"`
	// ForceBy is until when a force sync by hand is waited for.
	ForceBy time.Time `json:"forceBy,omitzero"`
	// Tries counts our own restarts, LastTry is the newest, Tried the newest
	// that was not proven to have failed.
	Tries   int       `json:"tries,omitempty"`
	LastTry time.Time `json:"lastTry,omitzero"`
	Tried   time.Time `json:"tried,omitzero"`
	// Others counts restarts by anybody else since the sync was overdue.
	Others    int       `json:"others,omitempty"`
	OthersTry time.Time `json:"othersTry,omitzero"`
}

// Done is an action of the gate, as Climb needs to know it.
type Done struct {
	Target Target
	Action Action
	At     time.Time // when it was meant
	Closed time.Time // when its outcome was known; zero while it is not
	// Open says that its outcome is not known yet, Failed that it was read
	// back and did not happen.
	Open, Failed bool
}

// triesPerIncident is how many restarts of ours, and how many of anybody
// else's, may fail before the ladder ends at a person.
const triesPerIncident = 2

// minServiceAge is the least up-time below which nobody restarts a service
// again: 2 h, four intervals, or one and a half times the longest full sync.
func minServiceAge(interval, longest time.Duration) time.Duration {
	return max(2*time.Hour, 4*interval, longest+longest/2)
}

// proofTime is how long a restart may take to show as a successful sync.
func proofTime(interval, longest, tick time.Duration) time.Duration {
	return max(interval, longest+longest/2) + 3*tick
}

// Climb says where a peer stands on the ladder, and what it asks for. It is
// asked for peers in state Stuck only, in mode recover or to tell what recover
// would do; prev is what it said last, nil at first. done are the gate's
// actions of the last day. A rung that this version does not know is an error,
// and leaves the ladder to the version that does.
//
// Each look climbs from the bottom, for what let a peer past a rung may be over.
// It ends: a restart of ours that does not help, two that did not happen, or
// two by others without help, leave the peer to a person.
func Climb(v *View, id mesh.PeerID, conditions []Condition, sync SyncRecord, prev *Ladder, done []Done) (Ladder, *Proposal, error) {
	if prev != nil && prev.Rung != "" {
		if _, err := methodOf(prev.Rung); err != nil {
			return Ladder{}, nil, fmt.Errorf("the ladder of %s: %w", id, err)
		}
	}
	l := v.link(id)
	c := &climb{link: l, conditions: conditions, sync: sync, target: Target{Cluster: id.From, Node: l.puller.Publisher, Service: ICSA}}
	c.limits = l.limits(l.clock().Last)
	c.proof = proofTime(c.limits.Interval, l.puller.record.LongestSync, v.Tick)
	if l.clock().Source != ClockDialect {
		c.proof += LogTurn // until its log tells
	}
	c.begin(prev)
	c.remember(done)
	c.look()
	for rung := rungs[0].rung; ; {
		method, err := methodOf(rung)
		if err != nil {
			return Ladder{}, nil, fmt.Errorf("the ladder of %s: %w", id, err)
		}
		is := method(c)
		if is.next == "" {
			return c.at(rung, is), c.proposal, nil
		}
		rung = is.next
	}
}

// rungs are the rungs from the bottom up, each with its method: it says to which
// rung above the peer goes on, and if to none, that it stays.
var rungs = [...]struct {
	rung   Rung
	method func(*climb) place
}{
	{RungWait, (*climb).wait},
	{RungCisco, (*climb).ciscoRecovery},
	{RungWithheld, (*climb).withheld},
	{RungForce, (*climb).forceSync},
	{RungRestart, (*climb).restartICSA},
	{RungHuman, (*climb).human},
}

func methodOf(r Rung) (func(*climb) place, error) {
	for _, x := range rungs {
		if x.rung == r {
			return x.method, nil
		}
	}
	return nil, fmt.Errorf("this version knows no rung %q", r)
}

// place is what a look makes of a rung.
type place struct {
	next     Rung      // where the peer goes on to; "": it stays
	by       time.Time // by when the rung must have helped
	until    time.Time // before which nothing is done
	evidence string
}

func goOn(to Rung) place { return place{next: to} }

func stay(by time.Time, evidence string, args ...any) place {
	return place{by: by, evidence: fmt.Sprintf(evidence, args...)}
}

// climb is one look at one ladder.
type climb struct {
	*link
	conditions []Condition
	sync       SyncRecord
	target     Target
	limits     Limits
	proof      time.Duration
	unknown    string    // what is not known although a restart turns on it; "" if nothing is
	groundless string    // why a restart has no ground, although the sync stands; "" if it has
	untold     bool      // ICSA's up-time, by which a restart is proven
	started    time.Time // of ICSA on the pulling publisher
	last       time.Time // the incident by our clock
	open       time.Time // when a restart of ours was meant that has no outcome yet
	today      int       // restarts of ours within a day
	mem        Ladder    // what is remembered of the incident
	prev       *Ladder
	proposal   *Proposal // what the rung asks for
}

// look takes in the services of the pulling publisher and what is not known.
func (c *climb) look() {
	services := c.puller.record.Seen.Nodes[c.puller.Publisher].Services.Fresh(c.Now, c.maxAge())
	agent, known := services.Get()
	icsa, listed := agent[ICSA]
	switch why := c.unsure(); {
	case !known:
		c.unknown = fmt.Sprintf("the services of %s are not known (%s)", c.puller.Publisher, services.Why())
	case !listed || icsa.UpTime < 0:
		c.untold = true
	case why != "":
		c.unknown = why + "; nothing is restarted on what is not known"
	default:
		// As the node told it at that look; in whole minutes, because seconds of
		// reading would move it at every look.
		c.started = services.At.Add(-icsa.UpTime).Round(time.Minute)
		c.notice()
		c.groundless = c.noGround()
	}
}

// begin recalls the incident, or begins a new one.
func (c *climb) begin(prev *Ladder) {
	clock, words := c.clock(), c.words()
	incident := c.sync.Differs.Since
	switch {
	case clock.Succeeded():
		incident = clock.Told
	case incident.IsZero() && c.logFresh() && c.stands(words.Failure, c.sync):
		incident = words.Failing
	case clock.Readable():
		incident = c.sync.FirstSeen
	}
	c.last = incident
	switch {
	case clock.Succeeded():
		c.last = incident.Add(clock.Last.Sub(clock.Told).Round(time.Minute))
	case !incident.IsZero() && incident.Equal(words.Failing):
		c.last = c.puller.said(Word{At: incident}).Round(time.Minute)
	}
	c.mem = Ladder{Incident: incident}
	if prev != nil && prev.Incident.Equal(incident) {
		c.mem, c.prev = *prev, prev
	}
}

// remember takes in what the gate did in this incident.
func (c *climb) remember(done []Done) {
	for _, d := range slices.SortedFunc(slices.Values(done), func(a, b Done) int { return a.At.Compare(b.At) }) {
		if d.Target != c.target || d.Action != RestartService {
			continue
		}
		if c.Now.Sub(d.At) < 24*time.Hour {
			c.today++
		}
		switch {
		case d.At.Before(c.last.Add(-time.Minute)): // of an earlier incident; the two clocks are not one
			continue
		case d.Open:
			c.open = d.At
			continue
		case !d.Failed && d.At.After(c.mem.Tried):
			c.mem.Tried = d.At
		}
		if d.At.After(c.mem.LastTry) {
			c.mem.Tries++
			c.mem.LastTry = d.At
		}
	}
}

// unsure says what is not known although a restart turns on it.
func (c *climb) unsure() string {
	for _, t := range append(Causes(), UsersMatch) {
		x := ConditionOf(c.conditions, t)
		// NotYetDecided is a difference that was measured, and whose time to
		// be brought by a sync is not over: the clock decides.
		switch {
		case x.Status == UnknownStatus && x.Reason != NotYetDecided && Counted(x, c.sync):
			return fmt.Sprintf("%s is Unknown (%s)", t, x.Reason)
		case x.Status == False && t != UsersMatch:
			// Seen once only, or the state would name it; it may be the cause.
			return fmt.Sprintf("%s is False (%s), seen once", t, x.Reason)
		}
	}
	return ""
}

// noGround says why what is known of the sync is no ground for a restart: a line
// that a log lacks never is, and Cisco's own alarm is one for the ICSA that raised
// it, while failures go on.
func (c *climb) noGround() string {
	switch synced := find(c.conditions, Synced); {
	case synced.Reason == NoSuccessLogged:
		return "ICSA is not restarted for a line that its log lacks"
	case synced.Reason == CiscoAlarm && !c.failuresGoOn(c.started):
		return fmt.Sprintf("ICSA is restarted for Cisco's own alarm only if %s was raised since it started and failures go on in its log", ciscolog.PeriodicSyncingFailure)
	}
	return ""
}

// notice counts a restart by somebody else since the sync was overdue: ICSA's
// own recovery, or a person's.
func (c *climb) notice() {
	limit, _ := c.limits.First()
	ours := false
	for _, at := range []time.Time{c.mem.Tried, c.open} {
		ours = ours || c.started.After(at.Add(-2*time.Minute)) && c.started.Before(at.Add(15*time.Minute))
	}
	if ours || !c.started.After(c.last.Add(limit-2*c.Tick)) || !c.started.After(c.mem.OthersTry.Add(2*time.Minute)) {
		return
	}
	c.mem.Others++
	c.mem.OthersTry = c.started
}

// at is a place on the ladder, with the incident's memory.
func (c *climb) at(r Rung, is place) Ladder {
	next := c.mem
	next.Rung, next.Entered, next.ProveBy, next.Until, next.Evidence = r, c.Now, is.by, is.until, is.evidence
	if c.prev != nil && c.prev.Rung == r {
		next.Entered = c.prev.Entered
	}
	return next
}

// wait is left when all is known that a restart turns on.
func (c *climb) wait() place {
	switch {
	case c.unknown != "" && !c.open.IsZero():
		return stay(c.open.Add(c.proof), "%s", c.unknown)
	case c.unknown != "":
		return stay(time.Time{}, "%s", c.unknown)
	case c.untold:
		return goOn(RungHuman)
	case !c.open.IsZero() || !c.mem.Tried.IsZero():
		return goOn(RungRestart)
	case c.mem.Tries >= triesPerIncident || c.today >= MaxActionsPerDay:
		return goOn(RungHuman)
	case c.groundless != "" && (find(c.conditions, Synced).Reason == NoSuccessLogged || c.mem.Others >= triesPerIncident):
		// What a line would have told, nothing else will; and an ICSA that restarts
		// itself after each of its alarms has none of its own.
		return goOn(RungHuman)
	case c.groundless != "":
		return stay(time.Time{}, "%s", c.groundless)
	}
	return goOn(RungCisco)
}

// ciscoRecovery is left when ICSA's own recovery has had its turn: it is expected
// at clock A, and recognised by the up-time.
func (c *climb) ciscoRecovery() place {
	if c.mem.Others > 0 {
		if by := c.mem.OthersTry.Add(c.proof); c.Now.Before(by) {
			return stay(by, "%s restarted at %s, not by Peerkeeper (by its up-time); its next sync is awaited", c.target, plain.Time(c.mem.OthersTry))
		}
	} else if auto := c.autoRecovery(); auto != "off" {
		if grace := c.last.Add(c.limits.A).Add(2 * c.Tick).Round(time.Minute); c.Now.Before(grace) {
			return stay(grace, "auto recovery is %s: ICSA should restart itself by %s", auto, plain.Time(grace))
		}
	}
	return goOn(RungWithheld)
}

// withheld is left when the data differ.
func (c *climb) withheld() place {
	if users := find(c.conditions, UsersMatch); users.Status == True && users.Reason != CatchingUp {
		return stay(time.Time{}, "the user data match (%s), so ICSA is not restarted although its last sync is overdue", users.Reason)
	}
	return goOn(RungForce)
}

// forceSync is left when people have had the time that the policy gives them.
func (c *climb) forceSync() place {
	wait := c.Mesh.Policy.WaitForPeople.D()
	if wait > 0 && c.mem.ForceBy.IsZero() {
		c.mem.ForceBy = c.Now.Add(wait)
	}
	if wait <= 0 || !c.Now.Before(c.mem.ForceBy) {
		return goOn(RungRestart)
	}
	return stay(c.mem.ForceBy, "%s; Peerkeeper waits %s for it", procedure.ForceManualSync(c.puller.Publisher, c.home.Publisher).Line(), plain.Duration(wait))
}

// restartICSA is left when a restart, ours or two of others, has not helped. Before
// ours it asks for one.
func (c *climb) restartICSA() place {
	if at := c.open; !at.IsZero() {
		return stay(at.Add(c.proof), "a restart of %s was meant at %s and its outcome is not known yet", c.target, plain.Time(at))
	}
	if at := c.mem.Tried; !at.IsZero() {
		if by := at.Add(c.proof); c.Now.Before(by) {
			return stay(by, "%s was restarted at %s; its next sync must succeed by %s", c.target, plain.Time(at), plain.Time(by))
		}
		return goOn(RungHuman)
	}
	if c.mem.Others >= triesPerIncident {
		return goOn(RungHuman)
	}
	c.proposal = c.restart()
	is := stay(time.Time{}, "a restart of %s is proposed", c.target)
	if until := c.started.Add(c.proposal.MinAge); c.Now.Before(until) {
		is = stay(time.Time{}, "%s restarted at %s; its syncs are awaited until %s", c.target, plain.Time(c.started), plain.Time(until))
		is.until = until
	}
	return is
}

// human is left with the incident.
func (c *climb) human() place {
	why := ""
	switch {
	case c.untold:
		why = fmt.Sprintf("the up-time of %s is unknown, so a restart could not be verified", c.target)
	case !c.mem.Tried.IsZero():
		why = fmt.Sprintf("%s was restarted at %s and the sync still stands", c.target, plain.Time(c.mem.Tried))
	case c.mem.Tries >= triesPerIncident:
		why = fmt.Sprintf("a restart of %s was proposed %d times and did not happen", c.target, c.mem.Tries)
	case c.today >= MaxActionsPerDay:
		why = fmt.Sprintf("%s was restarted %d times in 24 h without lasting effect; manual investigation needed", c.target, c.today)
	case c.groundless != "" && c.mem.Others >= triesPerIncident:
		why = fmt.Sprintf("%s restarted %d times since the sync stands, not by Peerkeeper, and it did not help; %s", c.target, c.mem.Others, c.groundless)
	case c.groundless != "":
		why = c.groundless
	default:
		// One more of the same; a person may still want it.
		c.proposal = c.restart()
		c.proposal.Approval = fmt.Sprintf("%d restarts by others have not helped", c.mem.Others)
		why = fmt.Sprintf("%s restarted %d times since the sync stands, the last time at %s, not by Peerkeeper, and it did not help", c.target, c.mem.Others, plain.Time(c.mem.OthersTry))
	}
	return stay(time.Time{}, "%s", why)
}

// restart is what the ladder asks for.
func (c *climb) restart() *Proposal {
	p := &Proposal{
		Action: RestartService, Target: c.target, Peers: []mesh.PeerID{c.id}, Since: c.mem.Incident, MinAge: minServiceAge(c.limits.Interval, c.puller.record.LongestSync),
		Why:        fmt.Sprintf("%s is stuck: %s", c.id, find(c.conditions, Synced).Message),
		Interrupts: fmt.Sprintf("the user syncs of %d peers of %s for about a minute; no sessions, chats or logins", len(c.puller.pulls), c.id.From),
		Collect:    Evidence(c.puller.Publisher),
	}
	p.ID = proposalID(p.Action, p.Target, "", p.Since)
	if why := c.suspectIsPeer(); why != "" && c.Mesh.Policy.RestartForOnePeer != "auto" {
		p.Approval = why
	}
	return p
}

// autoRecovery is the parameter on the pulling publisher: "on", "off", or
// "declared on" where it was not read.
func (l *link) autoRecovery() string {
	params, ok := l.puller.record.Seen.Nodes[l.puller.Publisher].Parameters.Get()
	switch v := strings.ToLower(params[ParamAutoRecovery]); {
	case ok && (v == "f" || v == "false" || v == "0" || v == "disabled"):
		return "off"
	case ok && v != "":
		return "on"
	case !l.puller.AutoRecovery:
		return "off"
	}
	return "declared on"
}

// suspectIsPeer says why a restart of the whole agent needs approval: other
// peers of the same agent advance, or this peer alone is seen to stand, and the
// path between its nodes is not measured.
func (l *link) suspectIsPeer() string {
	others, advancing, standing := 0, 0, 0
	for _, o := range l.puller.pulls {
		if o.id == l.id {
			continue
		}
		others++
		clock := o.clock()
		limit, _ := o.limits(clock.Last).First()
		switch {
		case o.recent():
			advancing++
		case clock.Source == ClockDialect && clock.Succeeded() && o.age() > limit, o.logFresh() && o.stands(o.words().Periodic, SyncRecord{}):
			standing++
		}
	}
	switch {
	case advancing > 0:
		return fmt.Sprintf("%d of the %d other peers of this ICSA advance, so this peer is the suspect and not the agent", advancing, others)
	case others == 0:
		return "it is the agent's only peer, and the path between the nodes is not measured"
	case standing == 0:
		return fmt.Sprintf("none of the %d other peers of this ICSA is seen to stand still, and the path between the nodes is not measured", others)
	}
	return ""
}
