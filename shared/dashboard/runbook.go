package dashboard

import (
	"html/template"
	"io"
	"time"

	"peerkeeper/shared/change"
)

// RunBook writes a plan as one page that can be printed and attached to a change
// request: nothing else is loaded, and each step has room for a signature.
func RunBook(w io.Writer, plan change.View, now time.Time) error {
	t, err := template.New("runbook.html").Funcs(template.FuncMap{
		"iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).ParseFS(web, "web/runbook.html")
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		Plan change.View
		Now  time.Time
	}{plan, now})
}
