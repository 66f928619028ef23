package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// kind is a licence by its SPDX id, told by words that no other has.
type kind struct {
	id       string
	words    []string // all of them, in lower case and with single spaces
	without  string   // and not this
	accepted bool     // may be linked into what is given to a customer
	named    bool     // the id is a name only: SPDX has none
}

// publicSQLite is SQLite's dedication to the public domain.
const publicSQLite = "SQLite public domain"

// kinds are in the order in which they are tried. All that fit are named: a
// file of third parties holds several.
func kinds() []kind {
	const permission = "permission is hereby granted, free of charge, to any person obtaining a copy"
	const notice = "the above copyright notice and this permission notice shall be included"
	const redistribution = "redistribution and use in source and binary forms, with or without modification, are permitted"
	return []kind{
		{id: "Apache-2.0", words: []string{"apache license", "version 2.0, january 2004"}, accepted: true},
		{id: "MIT", words: []string{permission, notice}, accepted: true},
		{id: "MIT-0", words: []string{permission}, without: notice, accepted: true},
		{id: "BSD-3-Clause", words: []string{redistribution, "endorse or promote products derived from"}, accepted: true},
		{id: "BSD-2-Clause", words: []string{redistribution}, without: "endorse or promote products derived from", accepted: true},
		{id: "ISC", words: []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"}, accepted: true},
		{id: "Unlicense", words: []string{"this is free and unencumbered software released into the public domain"}, accepted: true},
		{id: publicSQLite, words: []string{"sqlite is public domain"}, accepted: true, named: true},
		{id: "MPL-2.0", words: []string{"mozilla public license", "version 2.0"}},
		{id: "LGPL", words: []string{"gnu lesser general public license"}, named: true},
		{id: "AGPL", words: []string{"gnu affero general public license"}, named: true},
		{id: "GPL", words: []string{"gnu general public license", "terms and conditions"}, without: "gnu lesser general public license", named: true},
	}
}

// perused is a file that no words tell and that a person has read. It holds for
// these very bytes: in another version it is to be read again.
type perused struct {
	module, file, sha256 string
	is                   []string // the licences of what is linked
	why                  string
}

func readByHand() []perused {
	return []perused{
		{"github.com/aws/aws-lambda-go", "LICENSE-SUMMARY", "00c31061d11a7d289e3f5ac49f58b0d5cffdd9d1d24a9ee4c9848354356386bc", nil,
			"points to LICENSE and LICENSE-LAMBDACODE beside it"},
		{"modernc.org/memory", "LICENSE-LOGO", "5ae5bee3072a841376451b48d8cfcec7188e10543926d5870828d36c8a750dc5", nil,
			"where the picture in its README comes from"},
		{"modernc.org/sqlite", "LICENSE-3RD-PARTY.md", "4194f8e7119be72babd499db4f6f1f7547e36e8a7bffcb2b9c8df241b8f1576a", []string{"BSD-3-Clause", "MIT", publicSQLite},
			"section 1 lists what is linked; MPL-2.0 stands in section 3, which is compiled into nothing"},
	}
}

// licenceError says what is wrong with a module's licence.
type licenceError struct {
	module module
	file   string // "" if it has none
	kind   string // "" if it is not known
}

func (e *licenceError) Error() string {
	of := e.module.Path + "@" + e.module.Version
	switch {
	case e.file == "":
		return of + " has no licence file: nobody may use it"
	case e.kind == "":
		return of + ": " + e.file + " holds no licence that is known here; read it, and add its words to infra/supply/licence.go"
	}
	return of + ": " + e.file + " is " + e.kind + ", which is not accepted"
}

// licencesOf finds each module's licences. The error joins all that is wrong.
func licencesOf(dirs map[module]string) (map[module][]string, error) {
	out := map[module][]string{}
	var errs []error
	for _, m := range slices.SortedFunc(maps.Keys(dirs), func(a, b module) int { return strings.Compare(a.Path, b.Path) }) {
		found, err := licences(m, os.DirFS(dirs[m]))
		out[m] = found
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// licences reads the licence files in a module's root folder.
func licences(m module, root fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(root, ".")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	name := regexp.MustCompile(`(?i)(^|[-_.])(licen[cs]es?|copying)([-_.]|$)`)
	var found []string
	var errs []error
	files := 0
	for _, e := range entries {
		if e.IsDir() || !name.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		files++
		text, err := fs.ReadFile(root, e.Name())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Path, err)
		}
		if is, ok := byHand(m, e.Name(), text); ok {
			found = append(found, is...)
			continue
		}
		all := classify(string(text))
		if len(all) == 0 {
			errs = append(errs, &licenceError{m, e.Name(), ""})
		}
		for _, k := range all {
			found = append(found, k.id)
			if !k.accepted {
				errs = append(errs, &licenceError{m, e.Name(), k.id})
			}
		}
	}
	if files == 0 {
		errs = append(errs, &licenceError{m, "", ""})
	}
	slices.Sort(found)
	return slices.Compact(found), errors.Join(errs...)
}

func byHand(m module, file string, text []byte) (is []string, ok bool) {
	sum := fmt.Sprintf("%x", sha256.Sum256(text))
	for _, r := range readByHand() {
		if r.module == m.Path && r.file == file && r.sha256 == sum {
			return r.is, true
		}
	}
	return nil, false
}

// classify names the licences in a text.
func classify(text string) []kind {
	text = strings.Join(strings.Fields(strings.ToLower(text)), " ")
	var out []kind
	for _, k := range kinds() {
		missing := slices.ContainsFunc(k.words, func(w string) bool { return !strings.Contains(text, w) })
		if !missing && (k.without == "" || !strings.Contains(text, k.without)) {
			out = append(out, k)
		}
	}
	return out
}
