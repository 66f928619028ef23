package mesh_test

import (
	"errors"
	"strings"
	"testing"

	"peerkeeper/shared/mesh"
)

const (
	digits = "5e0c1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7"
	colons = "5E:0C:1A:2B:3C:4D:5E:6F:70:81:92:A3:B4:C5:D6:E7:F8:09:1A:2B:3C:4D:5E:6F:70:81:92:A3:B4:C5:D6:E7"
)

func TestAFingerprintIsReadAsPeopleFindIt(t *testing.T) {
	for name, text := range map[string]string{
		"openssl 3":                     "sha256 Fingerprint=" + colons,
		"openssl 1.1":                   "SHA256 Fingerprint=" + colons,
		"openssl, with its line end":    "sha256 Fingerprint=" + colons + "\n",
		"with colons":                   colons,
		"small, with colons":            strings.ToLower(colons),
		"as mesh.yaml has it":           "sha256:" + digits,
		"mesh.yaml, as openssl has it":  "sha256:" + colons,
		"bare":                          digits,
		"bare, in capitals":             strings.ToUpper(digits),
		"a browser's":                   "SHA-256 Fingerprint: " + strings.ReplaceAll(colons, ":", " "),
		"a browser's, over two lines":   "SHA-256 Fingerprint\n" + strings.ReplaceAll(colons, ":", " "),
		"Windows, with hyphens":         strings.ReplaceAll(colons, ":", "-"),
		"blanks around":                 "  " + digits + "\t",
		"the word alone":                "Fingerprint=" + colons,
		"base64 of the same bytes":      "XgwaKzxNXm9wgZKjtMXW5/gJGis8TV5vcIGSo7TF1uc=",
		"base64 for addresses":          "XgwaKzxNXm9wgZKjtMXW5_gJGis8TV5vcIGSo7TF1uc=",
		"base64 with the algorithm":     "sha256:XgwaKzxNXm9wgZKjtMXW5/gJGis8TV5vcIGSo7TF1uc=",
		"an equals sign and a blank":    "SHA256 Fingerprint = " + colons,
		"the algorithm and equals":      "sha256=" + digits,
		"the algorithm with a hyphen":   "SHA-256:" + digits,
		"the algorithm with a blank":    "SHA256 " + digits,
		"openssl dgst's own word order": "SHA2-256= " + digits,
	} {
		got, err := mesh.ParseFingerprint(text)
		if err != nil || got != "sha256:"+digits {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWhatIsNoFingerprintIsRefusedByWhatItIs(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"nothing":                {"", "64 hexadecimal digits"},
		"blanks":                 {"   ", "64 hexadecimal digits"},
		"too short":              {"5e0c", "it has 4 digits"},
		"a digit too few":        {digits[1:], "64 hexadecimal digits"},
		"a byte too many":        {digits + "00", "it has 66 digits"},
		"SHA-1, as openssl's":    {"SHA1 Fingerprint=" + colons[:59], "SHA-1 fingerprint, which can be forged"},
		"SHA-1, bare":            {digits[:40], "SHA-1 fingerprint"},
		"MD5":                    {digits[:32], "MD5 fingerprint"},
		"SHA-512":                {digits + digits, "SHA-512"},
		"64 digits called SHA1":  {"sha1 Fingerprint=" + colons, "it says SHA-1"},
		"curl's public key":      {"sha256//XgwaKzxNXm9wgZKjtMXW5/gJGis8TV5vcIGSo7TF1uc=", "public key"},
		"an SSH key's":           {"SHA256:XgwaKzxNXm9wgZKjtMXW5/gJGis8TV5vcIGSo7TF1uc", "SSH key"},
		"letters":                {strings.Repeat("xy", 32), "64 hexadecimal digits"},
		"a certificate":          {"-----BEGIN CERTIFICATE-----\n" + strings.Repeat("MIID", 400), "bytes"},
		"bytes that are no text": {"sha256 \x9e\x9e\x9e\x9e", "64 hexadecimal digits"},
		"control characters":     {"\x1b[2J" + digits, "64 hexadecimal digits"},
	} {
		_, err := mesh.ParseFingerprint(c.text)
		var bad *mesh.FingerprintError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
			continue
		}
		if len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: not fit to be said: %q", name, err)
		}
	}
}

func FuzzParseFingerprint(f *testing.F) {
	for _, s := range []string{digits, "sha256 Fingerprint=" + colons, "sha256//" + digits, "SHA-1:" + digits, "XgwaKzxNXm9wgZKjtMXW5/gJGis8TV5vcIGSo7TF1uc=", "Fingerprint"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := mesh.ParseFingerprint(text)
		if err != nil {
			if got != "" {
				t.Errorf("%q with %v", got, err)
			}
			return
		}
		if again, err := mesh.ParseFingerprint(got); err != nil || again != got || len(got) != len("sha256:")+64 {
			t.Errorf("%q became %q and then %q, %v", text, got, again, err)
		}
	})
}
