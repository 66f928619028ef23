package main

import (
	"fmt"

	"peerkeeper/shared/plain"
)

// suggest says what a mistyped name may have meant, or what there is.
func suggest(name string, have []string) string {
	near := plain.Nearest(name, have)
	switch {
	case near != "":
		return fmt.Sprintf("did you mean %s?", near)
	case len(have) == 0:
		return "there is none"
	case len(have) == 1:
		return "there is " + have[0]
	}
	return "there are " + listed(have)
}

// listed writes names out, but not thirty clusters' worth of them.
func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return plain.List(names)
}
