package record_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/record"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/storetest"
)

func TestRejectedSecrets(t *testing.T) {
	cluster := &mesh.Cluster{ID: "emea", Credentials: "emea/platform", WriteCredentials: "emea/write", PlatformCredentials: "emea/platform"}
	key := store.Auth("acme", "emea", mesh.PlatformAccount)
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	login := func(s store.Store, a mesh.Account) record.AccountGuard {
		return record.AccountGuardOf(s, "acme", cluster, a, func() time.Time { return at })
	}
	for _, tt := range []struct {
		name, secret string
		note         *record.Auth
		want         string
	}{
		{"nothing was refused", "emea/platform", nil, ""},
		{"this version was", "emea/platform", &record.Auth{Secret: "emea/platform", Rejected: "v1", At: at}, "v1"},
		{"a person has resumed", "emea/platform", &record.Auth{Secret: "emea/platform", At: at}, ""},
		{"mesh.yaml names another secret now, whose first version is called v1 too", "emea/new", &record.Auth{Secret: "emea/platform", Rejected: "v1", At: at}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := storetest.NewMemory()
			if tt.note != nil {
				if _, _, err := store.Claim(t.Context(), s, key, record.AuthSchema, func(d *store.Doc[record.Auth], _ bool) (bool, error) {
					d.Value = *tt.note
					return true, nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			named := *cluster
			named.PlatformCredentials = tt.secret
			if got, err := record.AccountGuardOf(s, "acme", &named, mesh.PlatformAccount, nil).Rejected(t.Context()); got != tt.want || err != nil {
				t.Errorf("%q %v, want %q", got, err, tt.want)
			}
			if got, err := login(s, mesh.ReadAccount).Rejected(t.Context()); got != "" || err != nil {
				t.Errorf("another account of the cluster: %q %v", got, err)
			}
		})
	}
	t.Run("the newest refusal counts", func(t *testing.T) {
		s := storetest.NewMemory()
		for _, v := range []string{"v1", "v2"} {
			if err := login(s, mesh.PlatformAccount).Reject(t.Context(), v, "401"); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := login(s, mesh.PlatformAccount).Rejected(t.Context()); got != "v2" || err != nil {
			t.Errorf("%q %v", got, err)
		}
	})
	t.Run("what cannot be read is no leave to try", func(t *testing.T) {
		s := storetest.NewMemory()
		if err := s.Put(t.Context(), store.Item{Key: key, Body: []byte(`{"schema":1,"version":1,"rejected":7}`)}); err != nil {
			t.Fatal(err)
		}
		if _, err := login(s, mesh.PlatformAccount).Rejected(t.Context()); err == nil || !strings.Contains(err.Error(), "emea/platform") {
			t.Errorf("a damaged note: %v", err)
		}
		if err := s.Put(t.Context(), store.Item{Key: store.Auth("acme", "emea", mesh.WriteAccount), Body: []byte(`{"schema":2,"version":1,"secret":"emea/write","refused":["v1"]}`)}); err != nil {
			t.Fatal(err)
		}
		if _, err := login(s, mesh.WriteAccount).Rejected(t.Context()); !errors.Is(err, store.ErrNewerSchema) {
			t.Errorf("a note of a newer version: %v", err)
		}
		down := errors.New("down")
		s.Fail = func(string, store.Key) error { return down }
		if _, err := login(s, mesh.PlatformAccount).Rejected(t.Context()); !errors.Is(err, down) {
			t.Errorf("a store that is down: %v", err)
		}
		if err := login(s, mesh.PlatformAccount).Reject(t.Context(), "v1", "401"); !errors.Is(err, down) {
			t.Errorf("noting it: %v", err)
		}
	})
}
