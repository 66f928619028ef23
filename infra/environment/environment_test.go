package environment

import "testing"

func TestShippedEnvironments(t *testing.T) {
	for _, name := range []string{"dev", "prod"} {
		if _, err := Load("../environments", name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
