// Package perfmon reads the performance counters of one node through Cisco's PerfMon SOAP interface.
//
// It owns the envelope and the grammar of counter names. Like Control Center it works on the node that receives the request, so one
// client is one node; Cisco allows 80 requests a minute by default (enterprise parameter Allowed Performance Queries Per Minute), which
// all clients of the node share. It decides nothing: what a value means is its callers' business.
//
// It opens no session and never writes. What a node sends is bounded: MostCounters of an object, and no name longer than longestName.
//
// Failure promise: every error is a *soap.Error; a rate that was exceeded is soap.RateExceeded.
package perfmon

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"peerkeeper/shared/soap"
)

const (
	path  = "/perfmonservice2/services/PerfmonService"
	space = "http://schemas.cisco.com/ast/soap"
)

// MostCounters is how many counters of one object are taken. The longest list known, that of the XMPP router's components, is below 300.
const MostCounters = 5000

// longestName is the longest counter name that is taken: a host of 255, an object, an instance, a counter.
const longestName = 1024

// usable is the CStatus of a value that counts (sample output of a public client); what others mean is not documented.
const usable = 1

// Client speaks to one node through one transport. It is safe for concurrent use.
type Client struct{ transport soap.RoundTripper }

// New makes the client.
func New(t soap.RoundTripper) *Client { return &Client{transport: t} }

// Counter is one value as the node read it.
type Counter struct {
	Instance string // "" of an object that has none
	Name     string
	Value    int64
	Usable   bool // else Value says nothing
}

// Counters are those of one object.
type Counters []Counter

// Values are the usable values of a counter, one per instance. Its name is compared without regard to case: releases differ
// (Replicate_State, Replicate_state).
func (c Counters) Values(name string) []int64 {
	var out []int64
	for _, counter := range c {
		if counter.Usable && strings.EqualFold(counter.Name, name) {
			out = append(out, counter.Value)
		}
	}
	return out
}

// Collect reads all counters of an object on host, which must be the node that the client speaks to. An object that the node does not
// have is a soap.Fault or an empty list: which of the two is not documented.
func (c *Client) Collect(ctx context.Context, host, object string) (Counters, error) {
	const op = "perfmonCollectCounterData"
	body, err := soap.Envelope(space, op, true, soap.Text("Host", host), soap.Text("Object", object))
	if err != nil {
		return nil, &soap.Error{Op: op, Kind: soap.Malformed, Cause: err} // not sent
	}
	a, err := c.transport.Do(ctx, soap.Request{Op: op, Path: path, Action: op, Body: body})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	var out struct {
		Values []struct {
			Name   string `xml:"Name"`
			Value  string `xml:"Value"`
			Status string `xml:"CStatus"`
		} `xml:"perfmonCollectCounterDataReturn"`
	}
	if err := a.Decode(&out); err != nil {
		return nil, err
	}
	if len(out.Values) > MostCounters {
		return nil, a.Malformed(fmt.Errorf("%d counters of %q: at most %d are read", len(out.Values), object, MostCounters))
	}
	var counters Counters
	for _, v := range out.Values {
		counter, err := parse(strings.TrimSpace(v.Name), object)
		if err != nil {
			return nil, a.Malformed(err)
		}
		counter.Usable = strings.TrimSpace(v.Status) == strconv.Itoa(usable)
		if counter.Value, err = strconv.ParseInt(strings.TrimSpace(v.Value), 10, 64); err != nil && counter.Usable {
			return nil, a.Malformed(fmt.Errorf("%s: %.30q is not a number", counter.Name, v.Value))
		}
		counters = append(counters, counter)
	}
	return counters, nil
}

// parse takes a counter's name apart: \\host\Object\Counter or \\host\Object(Instance)\Counter. An instance may hold parentheses and
// backslashes itself, and so may an object's name hold parentheses: what was asked for says where it ends. The host is not compared,
// for a node may write its name as it likes.
func parse(name, object string) (Counter, error) {
	malformed := fmt.Errorf(`%.80q is no counter of %q: want \\host\object\counter`, name, object)
	rest, ok := strings.CutPrefix(name, `\\`)
	if !ok || len(name) > longestName {
		return Counter{}, malformed
	}
	_, rest, ok = strings.Cut(rest, `\`)
	if !ok || len(rest) < len(object) || !strings.EqualFold(rest[:len(object)], object) {
		return Counter{}, malformed
	}
	rest = rest[len(object):]
	var instance string
	if inside, has := strings.CutPrefix(rest, "("); has {
		end := strings.LastIndex(inside, `)\`)
		if end < 0 {
			return Counter{}, malformed
		}
		instance, rest = inside[:end], inside[end+1:]
	}
	counter, ok := strings.CutPrefix(rest, `\`)
	if !ok || counter == "" {
		return Counter{}, malformed
	}
	return Counter{Instance: instance, Name: counter}, nil
}
