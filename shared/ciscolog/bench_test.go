package ciscolog

import (
	"bufio"
	"bytes"
	"regexp"
	"testing"
)

// noise is what most of such a file holds.
const noise = "Nov 27 10:00:01 impa local7 6 : 1201: impa.example.com: Nov 27 2026 09:00:01.476 UTC :  %UC_GENERIC-6-ServiceStarted: %[ServiceName=Cisco Presence Engine][Reason=as asked][AppID=Cisco Presence Engine][ClusterID=][NodeID=impa]: Service is now running as it was asked to, for the node has come up.\n"

// logOf makes about size bytes of log, in which one line of fifty is ICSA's.
func logOf(size int) []byte {
	block := append(bytes.Repeat([]byte(noise), 49), icsa+"\n"...)
	return bytes.Repeat(block, size/len(block)+1)
}

// BenchmarkScan100MB reads 100 MB of log with this package and, beside it in the same run, with bufio.Scanner and a regular expression, which
// is what one would write first and which finds quoted alarms too. One core each.
func BenchmarkScan100MB(b *testing.B) {
	log := logOf(100 << 20)
	const each = 50
	lines := bytes.Count(log, []byte{'\n'})
	b.Run("ciscolog", func(b *testing.B) {
		b.SetBytes(int64(len(log)))
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			extent, err := Scan(bytes.NewReader(log), read, func(Event) error { n++; return nil })
			if err != nil || n != lines/each || extent.Lines != int64(lines) {
				b.Fatalf("%d events in %d lines: %v", n, extent.Lines, err)
			}
		}
	})
	b.Run("ciscolog, no line of ICSA", func(b *testing.B) {
		log := bytes.Repeat([]byte(noise), len(log)/len(noise))
		b.SetBytes(int64(len(log)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Scan(bytes.NewReader(log), read, func(Event) error { b.Fatal("an event"); return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bufio and regexp", func(b *testing.B) {
		pattern := regexp.MustCompile(`%UC_ICSA-(\d)-(\w+)\s*:.*remotePeerAddress=([^\]]*)\]`)
		b.SetBytes(int64(len(log)))
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			s := bufio.NewScanner(bytes.NewReader(log))
			for s.Scan() {
				if pattern.FindSubmatch(s.Bytes()) != nil {
					n++
				}
			}
			if s.Err() != nil || n != lines/each {
				b.Fatalf("%d events: %v", n, s.Err())
			}
		}
	})
}
