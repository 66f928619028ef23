package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionVerb struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish." placeholder:"SHELL"`
}

// Help is what peerkeeper completion --help teaches.
func (completionVerb) Help() string {
	return `Prints a script that completes verbs, flags and function names.
It reads no file and contacts nobody.

Examples:

  source <(peerkeeper completion bash)
  peerkeeper completion zsh > "${fpath[1]}/_peerkeeper"
  peerkeeper completion fish > ~/.config/fish/completions/peerkeeper.fish`
}

// Run prints the script.
func (c *completionVerb) Run(t *terminal) error {
	parser, err := newParser(&verbs{}, t, func(int) {})
	if err != nil {
		return err
	}
	script := map[string]func([]entry) string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Shell]
	_, err = fmt.Fprint(t.stdout, script(wordsOf(parser.Model.Node, nil)))
	return err
}

// entry is what may follow a chain of verbs.
type entry struct {
	after []string // the verbs before it
	text  string
	help  string
	// values are what may follow a flag; file says that a path may.
	values []string
	file   bool
	takes  bool // the flag has a value
}

// wordsOf walks the command line's own model, so that the scripts never lag
// behind the verbs.
func wordsOf(n *kong.Node, after []string) []entry {
	var out []entry
	for _, child := range n.Children {
		out = append(out, entry{after: after, text: child.Name, help: firstSentence(child.Help)})
		out = append(out, wordsOf(child, append(slices.Clone(after), child.Name))...)
	}
	for _, p := range n.Positional {
		for _, v := range p.EnumSlice() {
			if v != "" {
				out = append(out, entry{after: after, text: v})
			}
		}
	}
	if len(n.Children) > 0 && n.Parent != nil {
		return out
	}
	for _, level := range n.AllFlags(true) {
		for _, f := range level {
			w := entry{after: after, text: "--" + f.Name, help: firstSentence(f.Help), takes: !f.IsBool()}
			w.file = w.takes && (f.PlaceHolder == "FILE" || f.PlaceHolder == "DIR")
			if f.Name == "once" && w.takes {
				w.values = functions()
			}
			out = append(out, w)
		}
	}
	return out
}

func firstSentence(s string) string {
	s, _, _ = strings.Cut(s, ". ")
	return strings.TrimSuffix(strings.NewReplacer("'", "", "`", "", "\"", "", "[", "(", "]", ")", ":", ",").Replace(s), ".")
}

// bashScript completes from one table: the verbs typed so far to what may
// follow.
func bashScript(words []entry) string {
	next := map[string][]string{}
	var order, flags []string
	seen := map[string]bool{}
	for _, w := range words {
		key := strings.Join(w.after, " ")
		if next[key] == nil {
			order = append(order, key)
		}
		next[key] = append(next[key], w.text)
		if !w.takes || seen[w.text+key] {
			continue
		}
		seen[w.text+key] = true
		reply := "COMPREPLY=()"
		switch {
		case w.values != nil:
			reply = fmt.Sprintf(`COMPREPLY=($(compgen -W "%s" -- "$cur"))`, strings.Join(w.values, " "))
		case w.file:
			reply = `COMPREPLY=($(compgen -f -- "$cur"))`
		}
		flags = append(flags, fmt.Sprintf("\t\t\"%s %s\") %s; return ;;\n", key, w.text, reply))
	}
	var b strings.Builder
	b.WriteString("# bash completion for peerkeeper\n_peerkeeper() {\n\tlocal cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\" verbs=\"\" w\n\tCOMPREPLY=()\n")
	b.WriteString("\tfor w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase \"$w\" in -*) continue ;; esac\n\t\tcase \"${verbs:+$verbs }$w\" in\n")
	var chains []string
	for _, key := range order {
		if key != "" {
			chains = append(chains, `"`+key+`"`)
		}
	}
	fmt.Fprintf(&b, "\t\t%s) verbs=\"${verbs:+$verbs }$w\" ;;\n\t\tesac\n\tdone\n", strings.Join(chains, "|"))
	fmt.Fprintf(&b, "\tcase \"$verbs $prev\" in\n%s\tesac\n\tcase \"$verbs\" in\n", strings.Join(flags, ""))
	for _, key := range order {
		fmt.Fprintf(&b, "\t\"%s\") COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")) ;;\n", key, strings.Join(next[key], " "))
	}
	b.WriteString("\tesac\n}\ncomplete -F _peerkeeper peerkeeper\n")
	return b.String()
}

func zshScript(words []entry) string {
	// zsh runs bash's completion as it stands.
	return "#compdef peerkeeper\nautoload -U +X bashcompinit && bashcompinit\n" + bashScript(words)
}

func fishScript(words []entry) string {
	children := map[string][]string{}
	for _, w := range words {
		if !strings.HasPrefix(w.text, "-") {
			key := strings.Join(w.after, " ")
			children[key] = append(children[key], w.text)
		}
	}
	var b strings.Builder
	b.WriteString("# fish completion for peerkeeper\ncomplete -c peerkeeper -f\n")
	for _, w := range words {
		when := "__fish_use_subcommand"
		if len(w.after) > 0 {
			var all []string
			for _, v := range w.after {
				all = append(all, "__fish_seen_subcommand_from "+v)
			}
			if next := children[strings.Join(w.after, " ")]; !strings.HasPrefix(w.text, "-") && len(next) > 0 {
				all = append(all, "not __fish_seen_subcommand_from "+strings.Join(next, " "))
			}
			when = strings.Join(all, "; and ")
		}
		what := "-a " + w.text
		if name, isFlag := strings.CutPrefix(w.text, "--"); isFlag {
			what = "-l " + name
			switch {
			case w.values != nil:
				what += " -x -a '" + strings.Join(w.values, " ") + "'"
			case w.file:
				what += " -r -F"
			case w.takes:
				what += " -x"
			}
		}
		fmt.Fprintf(&b, "complete -c peerkeeper -n '%s' %s -d '%s'\n", when, what, w.help)
	}
	return b.String()
}
