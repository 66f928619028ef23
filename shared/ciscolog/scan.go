package ciscolog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	buffer  = 256 << 10
	maxLine = 64 << 10 // a message has at most 800 octets [V], an alert that quotes others a few thousand
)

// Extent is what one pass over a file saw, besides its events. Without a line, all is zero.
type Extent struct {
	Bytes, Lines int64
	TooLong      int64 // lines of more than 64 KiB, which were passed over
	// First and Last are the instants of the first and the last alarm of any facility whose instant is known: what the file spans. Between
	// two reads of a file nothing was lost if the later one begins no later than the earlier one ended.
	First, Last time.Time
	// Severities counts the events handed over by severity, ICSA's alone: a file with ICSA's sixes shows successes.
	Severities [8]int64
}

// Scan reads lines from r to its end and hands each event of the facilities above over, in their order. A last line without its end is being
// written: half of it may say something else than all of it, so it is left to the next read, which finds it whole. Scan holds one buffer and
// never the file, and makes nothing for a line that is none of the facilities'. reference is as in Parse. An error is r's own or that of each, which ends the scan; the
// extent is then that of what was read.
func Scan(r io.Reader, reference time.Time, each func(Event) error) (Extent, error) {
	s := scanner{reference: reference, each: each}
	buf := make([]byte, buffer)
	kept := 0         // bytes at the beginning of buf that are no whole line yet
	skipping := false // the rest of a line that is too long
	for {
		n, err := r.Read(buf[kept:])
		if n < 0 || n > len(buf)-kept {
			return s.extent, errors.New("reading a log: the reader is broken")
		}
		s.extent.Bytes += int64(n)
		full, fresh := buf[:kept+n], kept // what was kept has no end of a line
		if skipping {
			end := bytes.IndexByte(full, '\n')
			if end < 0 {
				full = nil
			} else {
				full, skipping = full[end+1:], false
			}
			fresh = 0
		}
		end := bytes.LastIndexByte(full[fresh:], '\n') + 1
		if end > 0 {
			end += fresh
		}
		if failure := s.lines(full[:end]); failure != nil {
			return s.extent, failure
		}
		rest := full[end:]
		if len(rest) > maxLine && !skipping {
			s.extent.Lines++
			s.extent.TooLong++
			skipping, rest = true, nil
		}
		kept = copy(buf, rest)
		if err == nil {
			continue
		}
		s.dateLast()
		if errors.Is(err, io.EOF) {
			return s.extent, nil
		}
		return s.extent, fmt.Errorf("reading a log: %w", err)
	}
}

type scanner struct {
	reference time.Time
	each      func(Event) error
	extent    Extent
	tail      []byte // the last lines of the newest block, to date the end of the file from
	tried     int    // lines that could not date its beginning
}

// lines goes over whole lines. It looks for percent signs and not for ends of lines: of all that a log holds, few are followed by a
// facility that concerns us, and only their lines are looked at.
func (s *scanner) lines(block []byte) error {
	if len(block) == 0 {
		return nil
	}
	s.extent.Lines += int64(bytes.Count(block, []byte{'\n'}))
	if s.extent.First.IsZero() {
		s.dateFirst(block)
	}
	s.tail = append(s.tail[:0], block[max(0, len(block)-tailBytes):]...)
	done := 0 // where the first line that is not decided yet begins
	for at := 0; ; {
		i := bytes.IndexByte(block[at:], '%')
		if i < 0 {
			return nil
		}
		at += i + 1
		if !wanted(block[at:]) {
			continue
		}
		start := done + bytes.LastIndexByte(block[done:at], '\n') + 1
		end := at + bytes.IndexByte(block[at:], '\n')
		// Whether it is this alarm's line or one that quotes it, nothing more of the line can matter.
		done, at = end+1, end+1
		if end-start > maxLine {
			s.extent.TooLong++
			continue
		}
		e, ok := Parse(block[start:end], s.reference)
		if !ok || !e.Facility.Known() {
			continue
		}
		if e.Facility == ICSA {
			s.extent.Severities[e.Severity]++
		}
		if err := s.each(e); err != nil {
			return err
		}
	}
}

// Concerns tells whether one of the facilities above stands in a line, for a reader that has to pass over many that do not. It makes nothing.
func Concerns(line []byte) bool {
	for {
		i := bytes.IndexByte(line, '%')
		if i < 0 {
			return false
		}
		if line = line[i+1:]; wanted(line) {
			return true
		}
	}
}

// wanted tells whether a facility of ours follows.
func wanted(s []byte) bool {
	if len(s) < 6 || s[0]|0x20 != 'u' || s[1]|0x20 != 'c' || s[2] != '_' {
		return false
	}
	switch s[3] | 0x20 { // the first letter decides quickly; most lines are of other facilities
	case 'i', 'r', 's', 'x':
	default:
		return false
	}
	for i := range facilities {
		f := facilities[i]
		if len(s) > len(f) && s[len(f)] == '-' && equalFold(s[:len(f)], f) {
			return true
		}
	}
	return false
}

// equalFold is for ASCII, and makes no string.
func equalFold(s []byte, f Facility) bool {
	for i := range len(f) {
		a, b := s[i], f[i]
		if a != b && (a|0x20 != b|0x20 || !letter(a)) {
			return false
		}
	}
	return true
}

// Known tells whether it is one of those above. The alarm of another may quote one of theirs.
func (f Facility) Known() bool {
	for _, k := range facilities {
		if f == k {
			return true
		}
	}
	return false
}

const (
	tailBytes = 8 << 10
	attempts  = 32 // lines at either end of a file that are tried for an instant
)

// dateFirst dates the beginning of the file by the first line that can be dated.
func (s *scanner) dateFirst(block []byte) {
	for ; s.tried < attempts; s.tried++ {
		end := bytes.IndexByte(block, '\n')
		if end < 0 {
			return
		}
		if end <= maxLine {
			if at, ok := date(block[:end], s.reference); ok {
				s.extent.First = at
				return
			}
		}
		block = block[end+1:]
	}
}

// dateLast dates its end.
func (s *scanner) dateLast() {
	block := s.tail
	for range attempts {
		block = bytes.TrimSuffix(block, []byte{'\n'})
		if len(block) == 0 {
			return
		}
		start := bytes.LastIndexByte(block, '\n') + 1
		if at, ok := date(block[start:], s.reference); ok {
			s.extent.Last = at
			return
		}
		block = block[:start]
	}
}

func date(line []byte, reference time.Time) (time.Time, bool) {
	h, ok := heading(line)
	if !ok || quoted(line[:h.start]) {
		return time.Time{}, false
	}
	var e Event
	e.header(string(line[:h.start]), reference)
	return e.At, e.Dating != Undated
}
