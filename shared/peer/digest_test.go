package peer

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDigestsDifferWhereBucketsDo(t *testing.T) {
	some := Bucket{Users: 3, Weight: 21, Low: "anne", High: "x&y=z"}
	home := map[string]Bucket{"a": some, "é": some, " ": some, "&": some, "": some}
	with := func(k string, b Bucket) map[string]Bucket {
		out := map[string]Bucket{}
		for k, b := range home {
			out[k] = b
		}
		out[k] = b
		return out
	}
	for _, c := range []struct {
		name string
		copy map[string]Bucket
		want []string
	}{
		{"the same", with("a", some), nil},
		{"one user fewer", with("é", Bucket{Users: 2, Weight: 21, Low: "anne", High: "x&y=z"}), []string{"é"}},
		{"another of another length", with(" ", Bucket{Users: 3, Weight: 22, Low: "anne", High: "x&y=z"}), []string{" "}},
		{"another first one", with("&", Bucket{Users: 3, Weight: 21, Low: "anna", High: "x&y=z"}), []string{"&"}},
		{"another last one", with("", Bucket{Users: 3, Weight: 21, Low: "anne", High: "x&y=a"}), []string{""}},
		{"one bucket more", with("b", some), []string{"b"}},
		{"none", nil, []string{"", " ", "&", "a", "é"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, x := range [][2]map[string]Bucket{{home, c.copy}, {c.copy, home}} {
				if got, ok := DigestOf(x[0]).differing(DigestOf(x[1])); !ok || !cmp.Equal(got, c.want) {
					t.Errorf("%q differ (%v), want %q", got, ok, c.want)
				}
			}
		})
	}
	if d := DigestOf(home); d.Users != 15 {
		t.Errorf("%d users, want 15", d.Users)
	}
	damaged := DigestOf(home)
	damaged.Sums += "%zz"
	if got, ok := DigestOf(home).differing(damaged); ok {
		t.Errorf("a damaged digest differs in %q; nobody can tell", got)
	}
}

// FuzzDigest: whatever is stored as a digest, comparing it ends, and what is
// equal does not differ.
func FuzzDigest(f *testing.F) {
	f.Add("a=Zk3x8Qw_&b=00000000", "a=Zk3x8Qw_")
	f.Add("%zz", ";&=")
	f.Add("0", "1") // no sums at all
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := Digest{Sums: a}, Digest{Sums: b}
		if got, ok := x.differing(x); !ok || len(got) > 0 {
			t.Errorf("%q differs from itself in %q", a, got)
		}
		there, ok1 := x.differing(y)
		back, ok2 := y.differing(x)
		if ok1 != ok2 || !cmp.Equal(there, back) {
			t.Errorf("%q and %q differ in %q one way and %q the other", a, b, there, back)
		}
		if strings.Contains(a, "=") {
			d := DigestOf(map[string]Bucket{a: {Users: 1}})
			if got, ok := d.differing(Digest{}); !ok || len(got) != 1 || got[0] != a {
				t.Errorf("bucket %q is %q", a, got)
			}
		}
	})
}
