package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// pageFiles writes a certificate, its key and a token into a folder.
func pageFiles(t testing.TB, dir, token string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		DNSNames: []string{"mesh.example.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"page.pem":   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"page.key":   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		"page.token": token + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPageBeyondThisMachine is refused without TLS and a token, begins nothing
// then, and with them lets in who has the token.
func TestPageBeyondThisMachine(t *testing.T) {
	const token = "the-token-of-the-page-in-this-test"
	sim := simulate(t, "--users", "5", "--rate", "60")
	for _, args := range [][]string{
		{"run", "--listen", "0.0.0.0"}, {"run", "--listen", ":0"}, {"run", "--listen", "[::]:0"},
		{"demo", "--listen", "0.0.0.0:0"}, {"demo", "--listen", ":8080"},
	} {
		out, errs, code := run1(t, sim.dir, args...)
		if code != 2 || out != "" || !strings.Contains(errs, args[2]) || !strings.Contains(errs, "127.0.0.1") {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(sim.dir, "state.db")); err == nil {
		t.Error("a refused run has begun a state file")
	}
	pageFiles(t, sim.dir, token)
	r := start(t, sim.dir, "run", "-v", "--listen", "0.0.0.0:0", "--tls-cert", "page.pem", "--tls-key", "page.key", "--token-file", "page.token", "--host", "mesh.example.com")
	address := regexp.MustCompile(`page https://(\S+);`)
	eventually(t, "the page's address", func() bool { return address.MatchString(r.err.String()) })
	_, port, err := net.SplitHostPort(address.FindStringSubmatch(r.err.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	client := trusting(t, filepath.Join(sim.dir, "page.pem"))
	status := func(header string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1:"+port+"/api/status.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "mesh.example.com"
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if code, body := status(""); code != http.StatusUnauthorized || strings.Contains(body, "emea") {
		t.Errorf("without the token: %d %s", code, body)
	}
	eventually(t, "the status, with the token", func() bool {
		code, body := status("Bearer " + token)
		return code == http.StatusOK && strings.Contains(body, `"mesh":"acme"`)
	})
	if code := r.end(t, os.Interrupt); code != 0 {
		t.Errorf("exit %d\n%s", code, r.err.String())
	}
	if strings.Contains(r.out.String()+r.err.String(), token) {
		t.Error("the token is in what run says")
	}
	if !strings.Contains(r.err.String(), "the page answers to mesh.example.com, ") {
		t.Errorf("run does not say which names are answered:\n%s", r.err.String())
	}
}

func trusting(t testing.TB, certificate string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "mesh.example.com"}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// TestIdleConnectionsDoNotStopTheWatch: with 1,024 files allowed, 1,100
// connections that say nothing leave the functions all they need, the page
// readable, and one line about it in the log.
func TestIdleConnectionsDoNotStopTheWatch(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("ulimit is a Unix shell's")
	}
	sim := simulate(t, "--users", "5", "--rate", "300")
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell")
	}
	r := startCommand(t, sim.dir, exec.Command(shell, "-c", `ulimit -n 1024 && exec "$0" run --json --listen 127.0.0.1:0`, os.Getenv(binaryVariable)))
	address := regexp.MustCompile(`page http://(\S+);`)
	eventually(t, "the page's address", func() bool { return address.MatchString(r.err.String()) })
	at := address.FindStringSubmatch(r.err.String())[1]
	began := time.Now()
	for range 1100 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	runs := func(function string) int { return strings.Count(r.out.String(), `"function":"`+function+`"`) }
	peersync, stucksync := runs("peersync"), runs("stucksync")
	eventually(t, "three more runs of each function", func() bool {
		return runs("peersync") >= peersync+3 && runs("stucksync") >= stucksync+3
	})
	if n := strings.Count(r.out.String(), `"unreachable":0`); n == 0 || strings.Contains(r.err.String(), "too many open files") || strings.Contains(r.err.String(), "run failed") {
		t.Errorf("the work lacked files:\n%s\n%s", r.err.String(), r.out.String())
	}
	if code, body, err := get(t.Context(), "http://"+at+"/api/status.json", ""); err != nil || code != http.StatusOK || !strings.Contains(body, "emea>apac") && !strings.Contains(body, `emea\u003eapac`) {
		t.Errorf("a reader among them: %d %v", code, err)
	}
	if files := openFilesOf(r.Process.Pid); files > 1024-500 {
		t.Errorf("%d files are open, want half of them free", files)
	}
	if n := strings.Count(r.err.String(), "page: "); n == 0 || n > 1+int(time.Since(began).Minutes()) {
		t.Errorf("%d lines about the connections, want one a minute:\n%s", n, r.err.String())
	}
}

// openFilesOf is how many files a process has open; 0 where there is no /proc.
func openFilesOf(pid int) int {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0
	}
	return len(all)
}
