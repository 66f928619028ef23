//go:build !unix

package bolt_test

import (
	"testing"
)

func mkfifo(*testing.T, string) {}
