package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// bom is a bill of materials as CycloneDX 1.5 has it in JSON
// (https://cyclonedx.org/docs/1.5/json/), as far as it is needed. There is no
// timestamp: the same programs are the same bill.
type bom struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	SerialNumber string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Licences   []choice   `json:"licenses,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type choice struct {
	Licence struct {
		ID   string `json:"id,omitempty"`   // of SPDX's list
		Name string `json:"name,omitempty"` // of one that is not in it
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// purl is a module's package URL (https://github.com/package-url/purl-spec).
// Modules of capital letters keep them, as the module proxy needs them.
func (m module) purl() string {
	parts := strings.Split(m.Path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return "pkg:golang/" + strings.Join(parts, "/") + "@" + url.QueryEscape(m.Version)
}

func bomOf(programs []program, licences map[module][]string) bom {
	b := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		Components: []component{}, Dependencies: []dependency{},
	}
	whole := dependency{Ref: "peerkeeper"}
	b.Metadata.Component = component{Type: "application", Ref: whole.Ref, Name: "peerkeeper", Version: programs[0].version}
	var parts []dependency
	for _, p := range programs {
		c := component{Type: "application", Ref: "program:" + p.name, Name: p.name, Version: p.version, Hashes: []hash{{"SHA-256", p.sha256}}}
		b.Components = append(b.Components, c)
		whole.DependsOn = append(whole.DependsOn, c.Ref)
		d := dependency{Ref: c.Ref}
		for _, m := range p.modules {
			d.DependsOn = append(d.DependsOn, m.purl())
		}
		parts = append(parts, d)
	}
	for _, m := range union(programs) {
		c := component{Type: "library", Ref: m.purl(), Name: m.Path, Version: m.Version, PURL: m.purl()}
		if m.Sum != "" {
			// Go's h1 is a hash over the hashes of a module's files, and so
			// none of CycloneDX's.
			c.Properties = []property{{"go:sum", m.Sum}}
		}
		for _, id := range slices.Sorted(slices.Values(licences[m])) {
			var l choice
			if slices.ContainsFunc(kinds(), func(k kind) bool { return k.id == id && !k.named }) {
				l.Licence.ID = id
			} else {
				l.Licence.Name = id
			}
			c.Licences = append(c.Licences, l)
		}
		b.Components = append(b.Components, c)
	}
	b.Dependencies = append(append(b.Dependencies, whole), parts...)
	b.SerialNumber = serial(b)
	return b
}

// serial is a UUID of the bill's content (version 8: made by a rule of one's
// own, RFC 9562).
func serial(b bom) string {
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // texts and numbers only
	}
	sum := sha256.Sum256(text)
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
