package dnsprobe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"

	"peerkeeper/shared/dnsname"
)

// ErrNoServers is Lookup without a server to ask.
var ErrNoServers = errors.New("no DNS servers to ask")

// Result is what every server said of every name, servers and names in the
// caller's order, each once.
type Result struct {
	Servers []ServerResult
}

// ServerResult is what one server said.
type ServerResult struct {
	Server string
	// Down is Silent or Unreachable for a server that answers nothing, or nothing
	// any more: it was asked a few times and then left alone, and the answers to
	// all other names are marked Skipped. "" for a server that answers.
	Down Reason
	// SilentTypes are kinds of question, such as "AAAA" or "PTR", that the server
	// never answered while it answered others. They were not asked any more either.
	SilentTypes []string
	Questions   int // asked, without the second tries
	Names       []NameResult
}

// NameResult is what one server said of one name.
type NameResult struct {
	Name string
	// Reason is the forward answer's unless that is OK, and then the first reverse
	// answer's that is not. Of a name that is an IP address it is the reverse
	// answer's.
	Reason  Reason
	Forward Answer   // zero for a name that is an IP address
	Reverse []Answer // one for each address
}

// TooLong lists what the server's answers about the name were cut by.
func (n NameResult) TooLong() []string {
	var out []string
	for _, a := range append([]Answer{n.Forward}, n.Reverse...) {
		if a.TooLong != "" && !slices.Contains(out, a.TooLong) {
			out = append(out, a.TooLong)
		}
	}
	return out
}

// Name finds a name's result, however it is spelled.
func (s ServerResult) Name(name string) (NameResult, bool) {
	for _, n := range s.Names {
		if dnsname.Same(n.Name, name) {
			return n, true
		}
	}
	return NameResult{}, false
}

// Lookup resolves every name on every server, and each address found back to a
// name on the same server. Servers are asked side by side, each for a bounded
// number of names at a time; one that is down costs about one timeout however
// many names there are. The error is for servers that are not ip:port, for none,
// or for a caller who gave up, who still gets what was learnt until then.
func (c *Client) Lookup(ctx context.Context, servers []string, names []string) (Result, error) {
	servers, names = distinct(servers), distinct(names)
	if len(servers) == 0 {
		return Result{}, ErrNoServers
	}
	var faults []error
	for _, server := range servers {
		if _, err := netip.ParseAddrPort(server); err != nil {
			faults = append(faults, fmt.Errorf("DNS server %q: %w", server, err))
		}
	}
	if len(faults) > 0 {
		return Result{}, errors.Join(faults...)
	}
	result := Result{Servers: make([]ServerResult, len(servers))}
	var all sync.WaitGroup
	for i, server := range servers {
		all.Go(func() { result.Servers[i] = c.lookupOn(ctx, server, names) })
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return result, fmt.Errorf("asking DNS servers: %w", err)
	}
	return result, nil
}

func (c *Client) lookupOn(ctx context.Context, server string, names []string) ServerResult {
	workers := c.Workers
	if workers <= 0 {
		workers = DefaultWorkers
	}
	run := newRun(ctx, c, server, 2*workers)
	defer run.stop(nil)
	result := ServerResult{Server: server, Names: make([]NameResult, len(names))}
	var next atomic.Int64
	var pool sync.WaitGroup
	pool.Go(run.greet)
	for range min(workers, len(names)) {
		pool.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(names); i = int(next.Add(1)) - 1 {
				result.Names[i] = c.lookupName(ctx, server, names[i], run.ask)
			}
		})
	}
	pool.Wait()
	result.Down, result.SilentTypes, result.Questions = run.verdict()
	return result
}

func (c *Client) lookupName(ctx context.Context, server, name string, ask asker) NameResult {
	result := NameResult{Name: name}
	if addr, err := netip.ParseAddr(name); err == nil {
		// An IP node name: there is nothing to resolve, only a name to find.
		back := c.reverse(ctx, server, addr, ask)
		result.Reverse, result.Reason = []Answer{back}, back.Reason
		return result
	}
	result.Forward = c.forward(ctx, server, name, ask)
	result.Reason = result.Forward.Reason
	full, _ := c.qualify(name)
	for _, addr := range result.Forward.Addrs {
		back := c.reverse(ctx, server, addr, ask)
		if back.Reason == OK && !agrees(back.Names, full, result.Forward.CNAMEs) {
			back.Reason = PTRMismatch
		}
		if result.Reason == OK && back.Reason != OK {
			result.Reason = back.Reason
		}
		result.Reverse = append(result.Reverse, back)
	}
	return result
}

// agrees reports that an address leads back to the name asked for or to what
// that is an alias of.
func agrees(ptr []string, name string, aliases []string) bool {
	return slices.ContainsFunc(ptr, func(p string) bool {
		return sameName(p, name) || slices.ContainsFunc(aliases, func(a string) bool { return sameName(p, a) })
	})
}

func distinct(list []string) []string {
	seen := make(map[string]bool, len(list))
	var out []string
	for _, s := range list {
		if key := dnsname.Canonical(s); !seen[key] {
			seen[key] = true
			out = append(out, s)
		}
	}
	return out
}

// silencesInARow is how many questions of a kind that was answered before may go
// unanswered until an old question shows whether the server is still there.
const silencesInARow = 4

// loopback is a question that a server answers by itself, whatever has become of
// its forwarders and of the zones it is asked for (RFC 6303).
const loopback = "1.0.0.127.in-addr.arpa."

// errDown ends the questions in flight to a server that is given up.
var errDown = errors.New("the server has been silent")

// run is one server in one Lookup: it asks, and notices when asking is of no use.
type run struct {
	client *Client
	server string
	// patience is how many silences a kind of question gets that was never answered:
	// two rounds of all workers, because one may be a single peer's dead zone.
	patience int
	ctx      context.Context
	stop     context.CancelCauseFunc

	mu        sync.Mutex
	questions int
	answered  int // of any kind
	down      Reason
	kinds     map[uint16]*kind
}

// kind is what a server makes of one type of question.
type kind struct {
	answered int
	silences int // since the last answer
	mute     bool
	proven   dns.Question // one that was answered
	checking bool         // proven is being asked again
}

func newRun(ctx context.Context, c *Client, server string, patience int) *run {
	r := &run{client: c, server: server, patience: patience, kinds: map[uint16]*kind{}}
	r.ctx, r.stop = context.WithCancelCause(ctx)
	return r
}

// greet asks, beside the names, what any living server answers. If that and every
// name until then meet silence, the server is down.
func (r *run) greet() {
	r.mu.Lock()
	r.questions++
	r.mu.Unlock()
	got := r.client.ask(r.ctx, r.server, dns.Question{Name: loopback, Qtype: dns.TypePTR, Qclass: dns.ClassINET})
	r.mu.Lock()
	defer r.mu.Unlock()
	switch got.reason {
	case Cancelled:
	case Silent, Unreachable:
		if r.answered == 0 {
			r.giveUp(got.reason)
		}
	default:
		r.answered++
	}
}

// ask is an asker. The context it takes is that of the Lookup, which r.ctx
// belongs to.
func (r *run) ask(_ context.Context, server string, question dns.Question) reply {
	if reason := r.begin(question.Qtype); reason != "" {
		return reply{found: found{reason: reason}, skipped: true, err: errDown}
	}
	got := r.client.ask(r.ctx, server, question)
	if got.reason == Cancelled && errors.Is(context.Cause(r.ctx), errDown) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return reply{found: found{reason: r.down}, skipped: true, err: errDown}
	}
	if r.note(question, got.reason) {
		r.check(question.Qtype)
	}
	return got
}

// begin counts a question, or says why it need not be asked.
func (r *run) begin(qtype uint16) (skip Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.kinds[qtype]
	if k == nil {
		k = &kind{}
		r.kinds[qtype] = k
	}
	switch {
	case r.down != "":
		return r.down
	case k.mute:
		return Silent
	}
	r.questions++
	return ""
}

// note learns from the outcome of a question, and reports that the server's
// silence must be checked.
func (r *run) note(question dns.Question, reason Reason) (check bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.kinds[question.Qtype]
	switch reason {
	case Silent, Unreachable:
	case Cancelled, BadName, BadServer:
		return false // says nothing of the server
	default:
		r.answered++
		k.answered++
		k.silences = 0
		k.proven = question
		return false
	}
	k.silences++
	if k.answered == 0 {
		k.mute = k.silences >= r.patience
		return false
	}
	if k.silences < silencesInARow || k.checking {
		return false
	}
	k.checking = true
	return true
}

// check asks again what the server has answered before. If that is answered, the
// silence is about the names; if not, the server has died during the run.
func (r *run) check(qtype uint16) {
	r.mu.Lock()
	proven := r.kinds[qtype].proven
	r.questions++
	r.mu.Unlock()
	got := r.client.ask(r.ctx, r.server, proven)
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.kinds[qtype]
	k.checking = false
	switch got.reason {
	case Cancelled:
	case Silent, Unreachable:
		r.giveUp(got.reason)
	default:
		k.silences = 0
	}
}

// giveUp needs the lock.
func (r *run) giveUp(reason Reason) {
	if r.down == "" {
		r.down = reason
		r.stop(errDown)
	}
}

func (r *run) verdict() (down Reason, silentTypes []string, questions int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for qtype, k := range r.kinds {
		if k.mute {
			silentTypes = append(silentTypes, dns.TypeToString[qtype])
		}
	}
	slices.Sort(silentTypes)
	return r.down, silentTypes, r.questions
}
