package axl

import (
	"context"
	"errors"

	"peerkeeper/shared/soap"
)

// ladder are the versions that are tried, best first, on a node that refuses one and names none. 8.0 is what ICSA itself sends to
// releases up to 15 (vendor document, TAC capture). The shapes used here are those of all of them.
func ladder() []string {
	return []string{"15.0", "14.0", "12.5", "12.0", "11.5", "11.0", "10.5", "10.0", "9.1", "9.0", "8.5", "8.0"}
}

// Use starts with a version that the node was found to take before; "" is none.
func (c *Client) Use(version string) {
	if version == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version = version
}

// climb tries a read in one version after the other until the node takes one, which is spoken from then on. The error is that of the
// last attempt, or the first one's if every version is refused.
func (c *Client) climb(ctx context.Context, refused error, op, tried string, children []soap.Element) (*soap.Answer, error) {
	for _, version := range ladder() {
		if version == tried {
			continue
		}
		a, err := c.send(ctx, version, op, false, children)
		var e *soap.Error
		if errors.As(err, &e) && e.Kind == soap.VersionRefused {
			if better := choose(e.Supported, version); better != "" { // this page names some
				c.Use(better)
				return c.send(ctx, better, op, false, children)
			}
			continue
		}
		c.Use(version)
		return a, err
	}
	return nil, refused
}
