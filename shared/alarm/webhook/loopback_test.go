package webhook

import (
	"errors"
	"testing"
)

// "localhost" is a name: without TLS the connection itself must prove that it
// goes nowhere.
func TestHTTPDialsOnlyThisMachine(t *testing.T) {
	s, err := New("http://localhost:9/hook", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.transport.DialContext(t.Context(), "tcp", "192.0.2.1:80"); !errors.Is(err, ErrAddress) {
		t.Errorf("dialing another machine: %v", err)
	}
	if _, err := s.transport.DialContext(t.Context(), "tcp", "127.0.0.1:9"); errors.Is(err, ErrAddress) {
		t.Errorf("dialing this machine: %v", err)
	}
}
