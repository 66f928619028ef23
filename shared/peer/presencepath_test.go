package peer

import (
	"testing"
)

func TestPresencePathIsNotObservable(t *testing.T) {
	judged(t, PresencePath, []conditionCase{
		{"not observable", func(*scene) {}, UnknownStatus, NotObservable, Measured, "7400"},
	})
}
