package cluster

import (
	"context"
	"errors"
	"io"
	"testing"

	"peerkeeper/shared/soap"
)

// endless is a node whose answer does not end.
type endless struct{}

func (endless) Do(_ context.Context, req soap.Request) (*soap.Answer, error) {
	return soap.NewAnswer(req, "", endless{}), nil
}
func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (endless) Close() error               { return nil }

// TestTheAnswersOfAllClustersShareOneBudget: a node of one cluster waits until what a
// node of another has sent is done with. A node has one slot, whoever asks it.
func TestTheAnswersOfAllClustersShareOneBudget(t *testing.T) {
	c := &Connector{}
	emea, apac := c.flight("imp-emea-pub.example.com"), c.flight("imp-apac-pub.example.com")
	if emea == apac || emea != c.flight("imp-emea-pub.example.com") {
		t.Error("two nodes share a slot, or one node has two")
	}
	held, err := soap.Limit(endless{}, emea).Do(t.Context(), soap.Request{})
	if err != nil {
		t.Fatal(err)
	}
	// The half that is shared, and with one byte more the other half.
	if _, err := io.CopyN(io.Discard, held.Body, answersInFlight/2+1); err != nil {
		t.Fatal(err)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	waiting, err := soap.Limit(endless{}, apac).Do(ctx, soap.Request{})
	if err != nil {
		t.Fatal(err)
	}
	giveUp()
	if n, err := waiting.Body.Read(make([]byte, 1)); soap.KindOf(err) != soap.Cancelled {
		t.Errorf("apac is read beyond the budget: %d bytes, %v", n, err)
	}
	if err := errors.Join(held.Close(), waiting.Close()); err != nil {
		t.Fatal(err)
	}
	waiting, err = soap.Limit(endless{}, apac).Do(t.Context(), soap.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := waiting.Body.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("and once emea is done with: %d bytes, %v", n, err)
	}
}
