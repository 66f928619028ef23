package dashboard

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"peerkeeper/shared/mesh"
)

// parts is the HTML that all pages of an edition share: with 870 cells it is
// most of the work.
type parts struct {
	sheet            *sheet
	Attention, Below template.HTML
	Rows             []template.HTML
}

// html is the page, with one peer's panel if id names one. In the press's turn
// only.
func (h *handler) html(e *edition, id mesh.PeerID) ([]byte, error) {
	var chosen *Explanation
	if id != (mesh.PeerID{}) {
		x, err := e.snap.explain(id)
		if err != nil {
			return nil, err
		}
		chosen = &x
	}
	if e.parts == nil {
		made, err := h.parts(e)
		if err != nil {
			return nil, err
		}
		e.parts = made
	}
	s := *e.parts.sheet
	s.Parts = e.parts
	if chosen != nil {
		s.Chosen = panelOf(chosen.printable())
		s.Chosen.Timeline = timelineSheetOf(e.snap, id)
		s.DocTitle = fmt.Sprintf("%s %s · %s", chosen.ID, chosen.State, s.Mesh)
		var err error
		if s.Parts, err = h.marked(e.parts, id); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	err := h.tmpl.Execute(&b, &s)
	return b.Bytes(), err
}

// parts renders what the pages of an edition share.
func (h *handler) parts(e *edition) (*parts, error) {
	s := h.sheet(e.status, e.etag)
	s.Trust = trustSheetOf(e.snap)
	s.Preflight = preflightSheetOf(e.snap)
	p := &parts{sheet: s}
	var errs [2]error
	p.Attention, errs[0] = h.part("attention", s)
	p.Below, errs[1] = h.part("below", s)
	for _, row := range s.Rows {
		text, err := h.part("row", row)
		if err != nil {
			return nil, err
		}
		p.Rows = append(p.Rows, text)
	}
	return p, errors.Join(errs[:]...)
}

// part renders one part. What it returns has been escaped by the template.
func (h *handler) part(name string, data any) (template.HTML, error) {
	var b strings.Builder
	err := h.tmpl.ExecuteTemplate(&b, name, data)
	return template.HTML(b.String()), err
}

// marked is the parts with one peer's cell marked as the chosen one.
func (h *handler) marked(p *parts, id mesh.PeerID) (*parts, error) {
	out := *p
	for i, row := range p.sheet.Rows {
		at := slices.IndexFunc(row.Cells, func(c cell) bool { return c.Peer == id.String() })
		if at < 0 {
			continue
		}
		row.Cells = slices.Clone(row.Cells)
		row.Cells[at].Chosen = true
		text, err := h.part("row", row)
		if err != nil {
			return nil, err
		}
		out.Rows = slices.Clone(p.Rows)
		out.Rows[i] = text
	}
	return &out, nil
}
