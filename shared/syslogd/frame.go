package syslogd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// frames reads lines off a stream, each in the framing that it comes in.
type frames struct {
	r   *bufio.Reader // holds a line of max bytes, and its count
	max int
}

const (
	maxCount = 8       // bytes of an octet count and its blank
	maxSkip  = 1 << 20 // bytes of a line that is passed over; a sender of more has lost its place
)

// errTooLong is that a line was passed over.
var errTooLong = errors.New("the line is too long")

// next is the next line, valid until the next call; io.EOF may come with the last
// one. After errTooLong the next line can be read, after any other error none can.
func (f *frames) next() ([]byte, error) {
	count, head, err := f.count()
	if err != nil {
		return nil, err
	}
	if head > 0 {
		return f.counted(head, count)
	}
	line, err := f.r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		if len(line) > f.max {
			return nil, errTooLong
		}
		return line, err
	}
	for skipped := len(line); ; skipped += len(line) {
		if skipped > maxSkip {
			return nil, fmt.Errorf("a line of more than %d bytes", maxSkip)
		}
		line, err = f.r.ReadSlice('\n')
		if err == nil {
			return nil, errTooLong
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}

// count is the octet count with which a line begins, and how many bytes it takes;
// 0 bytes where there is none. A message that is counted begins with <PRI>; what
// begins with a number of its own, as Cisco's "62: host: …", is not counted.
func (f *frames) count() (count, head int, err error) {
	for n := 1; n <= maxCount; n++ {
		b, err := f.r.Peek(n)
		if len(b) < n {
			if errors.Is(err, io.EOF) {
				return 0, 0, nil // a last line without an end
			}
			return 0, 0, err
		}
		switch c := b[n-1]; {
		case c >= '1' && c <= '9', c == '0' && n > 1:
			count = count*10 + int(c-'0')
		case c == ' ' && n > 1:
			if b, err = f.r.Peek(n + 1); len(b) <= n {
				if errors.Is(err, io.EOF) {
					return 0, 0, nil
				}
				return 0, 0, err
			}
			if b[n] != '<' {
				return 0, 0, nil
			}
			return count, n, nil
		default:
			return 0, 0, nil
		}
	}
	return 0, 0, nil
}

func (f *frames) counted(head, count int) ([]byte, error) {
	if count > maxSkip {
		return nil, fmt.Errorf("a line of %d bytes", count)
	}
	if _, err := f.r.Discard(head); err != nil {
		return nil, err
	}
	if count > f.max {
		if _, err := f.r.Discard(count); err != nil {
			return nil, err
		}
		return nil, errTooLong
	}
	line, err := f.r.Peek(count)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	_, err = f.r.Discard(count) // it stays in the buffer until the next read
	return line, err
}

// trimmed is a line without its end, and without the NUL that some senders add.
func trimmed(line []byte) []byte { return bytes.Trim(line, "\r\n\x00 ") }
