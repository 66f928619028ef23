package certificate

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"peerkeeper/shared/instant"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
)

// A certificate that six nodes serve on three ports is stored once: with its five
// hundred names in each of eighteen places an item would be larger than a store
// takes, and nothing of the cluster would be kept at all.
//
// In memory every Served is whole. As it is stored, what one certificate has in
// common wherever it is stands in Certificates, under its fingerprint, and a
// place has the rest. A place that differs, and every record of an earlier
// release, is whole as it stands.

// Packed is the record as it is stored.
func (r Record) Packed() Record {
	r.Certificates, r.Formers = map[string]Served{}, map[string]Former{}
	r.Served, r.Ports, r.Identity = rebuilt(r.Served, r.place), rebuilt(r.Ports, r.place), rebuilt(r.Identity, r.place)
	return r
}

// rebuilt is a copy of what is by node and place, or service, in their order: the
// first place of a certificate is the one that tells what all have in common.
func rebuilt[K comparable](of map[mesh.NodeName]map[K]Served, each func(Served) Served) map[mesh.NodeName]map[K]Served {
	if of == nil {
		return nil
	}
	byText := func(a, b K) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	out := make(map[mesh.NodeName]map[K]Served, len(of))
	for _, node := range slices.Sorted(maps.Keys(of)) {
		out[node] = make(map[K]Served, len(of[node]))
		for _, place := range slices.SortedFunc(maps.Keys(of[node]), byText) {
			out[node][place] = each(of[node][place])
		}
	}
	return out
}

// place is what a place keeps of a certificate.
func (r *Record) place(s Served) Served {
	if s.Former != nil && s.Replaced != "" {
		if was, had := r.Formers[s.Replaced]; !had || reflect.DeepEqual(was, *s.Former) {
			r.Formers[s.Replaced] = *s.Former
			s.Former = &Former{KeyType: s.Former.KeyType}
		}
	}
	if s.Fingerprint == "" || s.NotAfter.IsZero() {
		return s
	}
	common := s.common()
	if is, had := r.Certificates[s.Fingerprint]; had && !reflect.DeepEqual(is, common) {
		return s
	}
	r.Certificates[s.Fingerprint] = common
	return s.without()
}

// common is what a certificate is wherever it is served; the fingerprint, which
// tells it, left out.
func (s Served) common() (out Served) {
	out.take(s)
	return out
}

// without is the rest of it.
func (s Served) without() Served {
	s.take(Served{})
	return s
}

// take sets what is common from another.
func (s *Served) take(o Served) {
	s.Subject, s.Issuer, s.NotBefore, s.NotAfter, s.SelfSigned, s.Key, s.MultiServer = o.Subject, o.Issuer, o.NotBefore, o.NotAfter, o.SelfSigned, o.Key, o.MultiServer
	s.Names, s.MoreNames, s.TooLong, s.Chain = slices.Clone(o.Names), o.MoreNames, slices.Clone(o.TooLong), slices.Clone(o.Chain) // each its own
	s.ChainEnds, s.ChainBy, s.RootEnds, s.RootBy = o.ChainEnds, o.ChainBy, o.RootEnds, o.RootBy
}

// Unpacked is the record in memory.
func (r Record) Unpacked() Record {
	r.Served, r.Ports, r.Identity = rebuilt(r.Served, r.whole), rebuilt(r.Ports, r.whole), rebuilt(r.Identity, r.whole)
	r.Certificates, r.Formers = nil, nil
	return r
}

// whole puts a certificate together again.
func (r *Record) whole(s Served) Served {
	if common, ok := r.Certificates[s.Fingerprint]; ok && s.NotAfter.IsZero() {
		s.take(common)
	}
	if was, ok := r.Formers[s.Replaced]; ok && s.Former != nil && s.Former.Subject == "" {
		was.KeyType = s.Former.KeyType
		s.Former = &was
	}
	return s
}

// maxCertItem bounds the stored record. DynamoDB ends an item at 400 KB.
const maxCertItem = 300 << 10

// Fit cuts a record that would be larger than an item may be, the least needed
// first, and tells what it cut. What is cut reads as unknown: a store without
// its entries is not known, a certificate's names are counted as not looked at.
func (r *Record) Fit(c *mesh.Cluster) (cut []string) {
	size := func() int {
		b, _ := json.Marshal(r.Packed()) // texts and instants always marshal; the store would say so
		return len(b)
	}
	names := func(but mesh.NodeName) func(mesh.NodeName, *Served) {
		return func(node mesh.NodeName, s *Served) {
			if node != but {
				s.MoreNames, s.Names = s.MoreNames+len(s.Names), nil
			}
			if s.Former != nil {
				was := *s.Former
				was.Names = nil
				s.Former = &was
			}
		}
	}
	steps := []struct {
		what string
		cut  func()
	}{
		{"findings", func() { r.Findings = firstFindings(r.Findings, 60<<10) }},
		{"names of certificates", func() {
			edit(r.Ports, names(""))
			edit(r.Identity, names(""))
			edit(r.Served, names(c.Publisher))
		}},
		{"trust stores", func() { r.dropStores(func(name string) bool { return name != peer.TomcatTrust }) }},
		{"chains of certificates", func() { r.editAll(func(s *Served) { s.Chain = nil }) }},
		{"trust stores", func() { r.dropStores(func(string) bool { return true }) }},
		{"names of certificates", func() { edit(r.Served, names("")) }},
		{"findings", func() { r.Findings = firstFindings(r.Findings, 10<<10) }},
	}
	for _, step := range steps {
		if size() <= maxCertItem {
			break
		}
		step.cut()
		if !slices.Contains(cut, step.what) {
			cut = append(cut, step.what)
		}
	}
	return cut
}

func (r *Record) dropStores(drop func(name string) bool) {
	kept := map[string]Store{}
	for name, store := range r.Trust {
		if !drop(name) {
			kept[name] = store
		}
	}
	if len(kept) < len(r.Trust) {
		r.Trust = kept
		r.NoTrust = &NoLook{Reason: peer.ValueTooLong, Detail: "the trust stores hold more than can be kept: what they lack is not known"}
	}
}

// firstFindings are those of the greatest severity, up to so many bytes.
func firstFindings(all []peer.Finding, most int) []peer.Finding {
	ranked := slices.Clone(all)
	slices.SortStableFunc(ranked, func(a, b peer.Finding) int { return a.Severity.Rank() - b.Severity.Rank() })
	sum := 0
	for i, f := range ranked {
		b, _ := json.Marshal(f)
		if sum += len(b); sum > most {
			return ranked[:i]
		}
	}
	return ranked
}

// Reclock puts right what another clock noted of a cluster's certificates.
func (r *Record) Reclock(now time.Time) {
	*r = r.Unpacked() // what is stored once is in its places
	r.editAll(func(s *Served) { instant.CountAsNow(now, &s.First, &s.Sighted, &s.Agreed) })
	for _, store := range r.Trust {
		instant.CountAllAsNow(now, store.Lacks)
		instant.CountAllAsNow(now, store.Came)
	}
	for i := range r.Servers {
		instant.CountAsNow(now, &r.Servers[i].Since)
	}
	for i := range r.Findings {
		instant.CountAsNow(now, &r.Findings[i].Since)
	}
}
