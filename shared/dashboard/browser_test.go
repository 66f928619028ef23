package dashboard

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser starts a Chromium that talks to nobody but the page under test.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on this machine")
	}
	opts := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(2 * time.Minute)}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars",
	} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return ctx
}

func serve(t *testing.T, s *scene) string {
	t.Helper()
	return serveAt(t, s, func() time.Time { return sceneNow })
}

func serveAt(t *testing.T, s *scene, now func() time.Time) string {
	t.Helper()
	page := (&Page{Source: s.source(), Now: now}).Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.looking.RLock() // what changes at once is read at once
		defer s.looking.RUnlock()
		page.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestPageInBrowser chooses a cell by keyboard and sees the page follow the
// store without losing the focus.
func TestPageInBrowser(t *testing.T) {
	ctx := browser(t)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	s := newScene(t, 3)
	var later atomic.Int64 // ns beyond the scene's now
	url := serveAt(t, s, func() time.Time { return sceneNow.Add(time.Duration(later.Load())) })

	do := func(name string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	js := func(expression string) string {
		t.Helper()
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		return got
	}
	await := func(expression string) {
		t.Helper()
		if _, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(0))); err != nil {
			t.Fatalf("waiting for %s: %v", expression, err)
		}
	}
	const focused = `document.activeElement.dataset.key ?? document.activeElement.tagName`
	const verdict = `document.querySelector("#panel .verdict .state")?.textContent ?? ""`

	do("opening", chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS(`#matrix[role="grid"]`)), chromedp.Focus(chromedp.CSS(`a.cell[data-key="emea>apac"]`)))
	// Right to amer, down to apac's row, left over the diagonal.
	do("moving", chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowLeft))
	if got := js(focused); got != "apac>emea" {
		t.Errorf("after right, down, left the focus is on %q, want apac>emea (over the diagonal)", got)
	}
	do("choosing", chromedp.KeyEvent(kb.Enter))
	await(`(` + verdict + `) === "Healthy"`)
	await(`decodeURIComponent(location.pathname) === "/peer/apac>emea"`)
	if got := js(focused); got != "apac>emea" {
		t.Errorf("after choosing the focus is on %q, want still the cell", got)
	}
	if got := js(`getComputedStyle(document.querySelector(".cell")).borderTopLeftRadius`); got == "0px" {
		t.Error("the style sheet was not applied")
	}

	// Nothing changes but the time: the page still tells it.
	later.Store(int64(3 * time.Minute))
	await(`document.getElementById("asof").textContent === "2026-06-02 14:33 UTC"`)
	await(`document.querySelector(".clusters .seen time").textContent === "5 min ago"`)

	// Text that a person has selected stays selected through an update.
	js(`getSelection().selectAllChildren(document.querySelector("#panel h2")), ""`)
	s.looking.Lock()
	s.stuck("apac>emea", 3*time.Hour)
	s.stuck("apac>emea", 3*time.Hour) // the second look decides
	s.looking.Unlock()
	await(`(` + verdict + `) === "Stuck"`)
	if got := js(focused); got != "apac>emea" {
		t.Errorf("after the update the focus is on %q, want still the cell", got)
	}
	if got := js(`document.activeElement.dataset.state + " " + document.activeElement.className`); got != "Stuck cell stuck" {
		t.Errorf("the cell is %q, want it shown as stuck", got)
	}
	if got := js(`document.querySelector("#panel .conditions .false code").textContent`); got != "FourPeriodsMissed" {
		t.Errorf("the panel's False condition reads %q, want FourPeriodsMissed", got)
	}
	if got := js(`getSelection().toString()`); !strings.HasPrefix(got, "apac pulls the users of emea") {
		t.Errorf("selected after the update: %q, want the heading as before", got)
	}
	await(`document.getElementById("live").textContent === "apac from emea: Stuck, was Healthy"`)
	do("closing", chromedp.KeyEvent(kb.Escape))
	await(`location.pathname === "/" && !document.querySelector("#panel .verdict")`)
	if got := js(focused); got != "apac>emea" {
		t.Errorf("after Escape the focus is on %q, want still the cell", got)
	}
	// Back and forward choose as before.
	do("back", chromedp.Evaluate[chromedp.Void](`history.back()`))
	await(`(` + verdict + `) === "Stuck"`)
}

// openAll opens all that is folded.
const openAll = `document.querySelectorAll("details").forEach(d => { d.open = true }); void 0`

// TestAxe holds the page against the rules of axe-core for keyboards and screen
// readers: npm i axe-core, and PEERKEEPER_AXE=node_modules/axe-core/axe.min.js.
func TestAxe(t *testing.T) {
	name := os.Getenv("PEERKEEPER_AXE")
	if name == "" {
		t.Skip("it needs axe-core, which is not fetched for tests: npm i axe-core, PEERKEEPER_AXE=its axe.min.js")
	}
	axe, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	ctx := browser(t)
	three, thirty := serve(t, troubled(t, 3).checkedAll()), serve(t, troubled(t, 30).checkedAll())
	for _, url := range []string{three + "/", three + "/peer/apac%3Eemea", thirty + "/peer/c08%3Ec05"} {
		if err := chromedp.Do(ctx, chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS(`#matrix[role="grid"]`)), chromedp.Evaluate[chromedp.Void](openAll), chromedp.Evaluate[chromedp.Void](string(axe)+"\n;void 0")); err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`window.found = null; axe.run().then(r => { window.found = r.violations.map(v => v.id + ": " + v.help + "; " + v.nodes.slice(0, 3).map(n => n.target + " " + n.failureSummary).join(" | ")).join("\n") }); void 0`)); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](`window.found !== null`)); err != nil {
			t.Fatal(err)
		}
		found, err := chromedp.Run(ctx, chromedp.Evaluate[string](`window.found`))
		if err != nil {
			t.Fatal(err)
		}
		if found != "" {
			t.Errorf("%s:\n%s", url, found)
		}
	}
}

// TestPictures draws the page into PEERKEEPER_PICTURES for a person to look at.
func TestPictures(t *testing.T) {
	dir := os.Getenv("PEERKEEPER_PICTURES")
	if dir == "" {
		t.Skip("it draws for a person to look at: PEERKEEPER_PICTURES=folder")
	}
	ctx := browser(t)
	three, thirty, well := serve(t, troubled(t, 3).checkedAll()), serve(t, troubled(t, 30).checkedAll()), serve(t, newScene(t, 3))
	ten := serve(t, newScene(t, 10))
	for _, c := range []struct {
		name, url     string
		width, height int64
		dark          bool
		open          string // script
	}{
		{"3-light", three + "/peer/apac%3Eemea", 1280, 800, false, ""},
		{"3-dark", three + "/peer/apac%3Eemea", 1280, 800, true, ""},
		{"3-start", well + "/", 1280, 800, false, ""},
		{"10-light", ten + "/", 1280, 800, false, ""},
		{"30-light", thirty + "/", 1280, 800, false, ""},
		{"30-dark", thirty + "/peer/c08%3Ec05", 1280, 800, true, ""},
		{"3-phone", three + "/", 360, 780, false, ""},
		{"3-phone-peer", three + "/peer/apac%3Eemea", 360, 780, true, ""},
		{"30-phone", thirty + "/", 360, 780, false, ""},
		{"3-preflight", three + "/", 1280, 800, false, openAll},
		{"3-phone-preflight", three + "/", 360, 780, true, openAll},
	} {
		scheme := "light"
		if c.dark {
			scheme = "dark"
		}
		err := chromedp.Do(ctx,
			chromedp.EmulateViewport(c.width, c.height),
			chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				})
				return err
			}),
			chromedp.Navigate(c.url), chromedp.WaitReady(chromedp.CSS(`#matrix[role="grid"]`)), chromedp.Evaluate[chromedp.Void](c.open+";document.body.offsetHeight;void 0"), chromedp.Sleep(200*time.Millisecond))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, c.name+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
