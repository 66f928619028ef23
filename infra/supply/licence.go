package main

import (
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
}

// kinds are in the order in which they are tried. All that fit are named: a
// file of third parties holds several.
func kinds() []kind {
	const redistribution = "redistribution and use in source and binary forms, with or without modification, are permitted"
	return []kind{
		{"Apache-2.0", []string{"apache license", "version 2.0, january 2004"}, "", true},
		{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy"}, "", true},
		{"BSD-3-Clause", []string{redistribution, "endorse or promote products derived from"}, "", true},
		{"BSD-2-Clause", []string{redistribution}, "endorse or promote products derived from", true},
		{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"}, "", true},
		{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}, "", true},
		{"blessing", []string{"may you do good and not evil", "may you share freely, never taking more than you give"}, "", true}, // SQLite
		{"MPL-2.0", []string{"mozilla public license", "version 2.0"}, "", false},
		{"LGPL", []string{"gnu lesser general public license"}, "", false},
		{"AGPL", []string{"gnu affero general public license"}, "", false},
		{"GPL", []string{"gnu general public license", "terms and conditions"}, "gnu lesser general public license", false},
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
