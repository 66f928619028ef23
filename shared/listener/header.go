package listener

import (
	"net/http"
	"strings"
)

// Harden sets what every answer carries: nothing but this server's own script,
// style and data, no way to be framed, and nothing kept by a cache. forms is
// where forms may be sent: 'none' or 'self'.
func Harden(h http.Header, forms string) {
	for name, value := range map[string]string{
		"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action " + forms + "; frame-ancestors 'none'",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cache-Control":                "no-store",
	} {
		h.Set(name, value)
	}
}

// Misdirected refuses a name that is not ours, and says which are.
func Misdirected(w http.ResponseWriter, hosts []string) {
	http.Error(w, "this name is not one that Peerkeeper answers to here: it answers to "+strings.Join(hosts, ", ")+". Further names: peerkeeper run --host NAME", http.StatusMisdirectedRequest)
}
