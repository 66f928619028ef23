package clustersim

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sqlError is a refusal by the database as AXL reports it. Number and text are
// those of Informix; that AXL prints them in this shape is invented.
type sqlError struct {
	Number int
	Text   string
}

func (e *sqlError) Error() string { return fmt.Sprintf("%s (%d)", e.Text, e.Number) }

func errSyntax() *sqlError { return &sqlError{-201, "A syntax error has occurred."} }

func errNoTable(name string) *sqlError {
	return &sqlError{-206, fmt.Sprintf("The specified table (%s) is not in the database.", name)}
}

type tokenKind int

const (
	tokenWord tokenKind = iota + 1
	tokenNumber
	tokenText // a string literal, quotes included, always single ones
	tokenSymbol
)

type token struct {
	kind tokenKind
	text string
}

func (t token) is(keyword string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, keyword)
}

// statement is one Informix statement made ready for SQLite.
type statement struct {
	Verb  string // upper case: SELECT, UPDATE, INSERT, DELETE …
	Table string // what a write writes to, lower case; empty for SELECT
	SQL   string
}

// multiSymbols are the operators of more than one character, which must not be
// torn apart when tokens are joined by blanks.
var multiSymbols = []string{"<=", ">=", "<>", "!=", "==", "||", "::"}

// tokenize splits one statement. Informix reads "abc" as a string (DELIMIDENT
// is off in AXL's connections) and {…} as a comment; SQLite would read an
// identifier and an error.
func tokenize(sql string) ([]token, error) {
	if !utf8.ValidString(sql) || strings.ContainsRune(sql, 0) {
		return nil, errSyntax()
	}
	var out []token
	for i := 0; i < len(sql); {
		r, size := utf8.DecodeRuneInString(sql[i:])
		rest := sql[i:]
		switch {
		case unicode.IsSpace(r):
			i += size
		case strings.HasPrefix(rest, "--"):
			if end := strings.IndexByte(rest, '\n'); end >= 0 {
				i += end
			} else {
				i = len(sql)
			}
		case r == '{' || strings.HasPrefix(rest, "/*"):
			closing := "}"
			if r == '/' {
				closing = "*/"
			}
			end := strings.Index(rest, closing)
			if end < 0 {
				return nil, errSyntax()
			}
			i += end + len(closing)
		case r == '\'' || r == '"':
			literal, length, ok := readLiteral(rest)
			if !ok {
				return nil, &sqlError{-282, "Found a quote for which there is no matching quote."}
			}
			out = append(out, token{tokenText, literal})
			i += length
		case unicode.IsLetter(r) || r == '_':
			length := strings.IndexFunc(rest, func(r rune) bool {
				return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '$'
			})
			if length < 0 {
				length = len(rest)
			}
			out = append(out, token{tokenWord, rest[:length]})
			i += length
		case r >= '0' && r <= '9':
			length := numberLength(rest)
			out = append(out, token{tokenNumber, rest[:length]})
			i += length
		default:
			symbol := ""
			for _, s := range multiSymbols {
				if strings.HasPrefix(rest, s) {
					symbol = s
				}
			}
			if symbol == "" && strings.ContainsRune("()*,.=<>+-/%;", r) {
				symbol = string(r)
			}
			// Anything else (?, :, @, $, `, [) would be a parameter or a quotation of
			// SQLite's own.
			if symbol == "" || symbol == "::" {
				return nil, errSyntax()
			}
			out = append(out, token{tokenSymbol, symbol})
			i += len(symbol)
		}
	}
	return out, nil
}

// readLiteral reads a quoted string; a doubled quote stands for itself.
func readLiteral(s string) (literal string, length int, ok bool) {
	quote := s[0]
	var b strings.Builder
	b.WriteByte('\'')
	for i := 1; i < len(s); i++ {
		if s[i] == quote {
			if i+1 >= len(s) || s[i+1] != quote {
				b.WriteByte('\'')
				return b.String(), i + 1, true
			}
			i++
		}
		if s[i] == '\'' {
			b.WriteByte('\'')
		}
		b.WriteByte(s[i])
	}
	return "", 0, false
}

func numberLength(s string) int {
	i := 0
	digits := func() {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
	}
	digits()
	if i+1 < len(s) && s[i] == '.' && s[i+1] >= '0' && s[i+1] <= '9' {
		i++
		digits()
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		mark := i
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		start := i
		if digits(); i == start {
			i = mark
		}
	}
	return i
}

// forbidden are the words that reach past the simulated database: SQLite's own
// catalogue and functions, and what could leave the database.
func forbidden(word string) bool {
	w := strings.ToLower(word)
	return strings.HasPrefix(w, "sqlite_") || strings.HasPrefix(w, "pragma_") || strings.HasPrefix(w, "json_") ||
		w == "load_extension" || w == "generate_series" || w == "randomblob" || w == "zeroblob" || w == "printf" || w == "format"
}

// rewrite turns one Informix statement into SQLite's dialect: SKIP n FIRST m
// (or LIMIT m) after SELECT become LIMIT and OFFSET at the end of that SELECT,
// UNIQUE becomes DISTINCT, MATCHES becomes GLOB, NVL becomes IFNULL,
// SUBSTRING(x FROM a FOR b) becomes SUBSTR(x, a, b); the owner prefix
// `informix.` is dropped. String literals are never touched. More than one
// statement, or a word of SQLite's own catalogue, is refused.
func rewrite(sql string) (statement, error) {
	tokens, err := tokenize(sql)
	if err != nil {
		return statement{}, err
	}
	if n := len(tokens); n > 0 && tokens[n-1].text == ";" {
		tokens = tokens[:n-1]
	}
	if len(tokens) == 0 || tokens[0].kind != tokenWord {
		return statement{}, errSyntax()
	}
	out := statement{Verb: strings.ToUpper(tokens[0].text)}
	out.Table = writtenTable(tokens)

	limits := []string{""}         // by depth of parentheses: what to append at the end of this SELECT
	substrings := map[int]bool{}   // depths opened by SUBSTRING(
	words := make([]string, 0, 64) // what is joined at the end
	peek := func(i int) token {
		if i < len(tokens) {
			return tokens[i]
		}
		return token{}
	}
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		depth := len(limits) - 1
		switch {
		case t.kind == tokenSymbol && t.text == ";":
			return statement{}, errSyntax()
		case t.kind == tokenSymbol && t.text == "(":
			limits = append(limits, "")
			words = append(words, "(")
		case t.kind == tokenSymbol && t.text == ")":
			if depth == 0 {
				return statement{}, errSyntax()
			}
			words = appendWord(words, limits[depth])
			words = append(words, ")")
			delete(substrings, depth)
			limits = limits[:depth]
		case t.kind != tokenWord:
			words = append(words, t.text)
		case forbidden(t.text):
			return statement{}, errNoTable(t.text)
		case t.is("select"):
			words = append(words, "SELECT")
			skip, first := "", ""
			for {
				next, value := peek(i+1), peek(i+2)
				if value.kind != tokenNumber {
					break
				}
				if next.is("skip") && skip == "" && first == "" {
					skip = value.text
				} else if (next.is("first") || next.is("limit")) && first == "" {
					first = value.text
				} else {
					break
				}
				i += 2
			}
			limit := ""
			switch {
			case first != "" && skip != "":
				limit = "LIMIT " + first + " OFFSET " + skip
			case first != "":
				limit = "LIMIT " + first
			case skip != "":
				limit = "LIMIT -1 OFFSET " + skip
			}
			// In a UNION the row limit of the first SELECT is that of the whole.
			if limits[depth] == "" {
				limits[depth] = limit
			}
			if peek(i + 1).is("unique") {
				words = append(words, "DISTINCT")
				i++
			}
		case t.is("informix") && peek(i+1).text == ".":
			i++
		case t.is("matches"):
			words = append(words, "GLOB")
		case t.is("nvl") && peek(i+1).text == "(":
			words = append(words, "IFNULL")
		case t.is("substring") && peek(i+1).text == "(":
			words = append(words, "SUBSTR")
			substrings[depth+1] = true
		case substrings[depth] && (t.is("from") || t.is("for")):
			words = append(words, ",")
		default:
			words = append(words, t.text)
		}
	}
	if len(limits) != 1 {
		return statement{}, errSyntax()
	}
	words = appendWord(words, limits[0])
	out.SQL = strings.Join(words, " ")
	return out, nil
}

func appendWord(words []string, w string) []string {
	if w == "" {
		return words
	}
	return append(words, w)
}

// writtenTable names the table of UPDATE x, INSERT INTO x, DELETE FROM x.
func writtenTable(tokens []token) string {
	at := 0
	switch {
	case tokens[0].is("update"):
		at = 1
	case tokens[0].is("insert") && len(tokens) > 1 && tokens[1].is("into"),
		tokens[0].is("delete") && len(tokens) > 1 && tokens[1].is("from"):
		at = 2
	default:
		return ""
	}
	if at+2 < len(tokens) && tokens[at].is("informix") && tokens[at+1].text == "." {
		at += 2
	}
	if at >= len(tokens) || tokens[at].kind != tokenWord {
		return ""
	}
	return strings.ToLower(tokens[at].text)
}

// columnLabel is the element name AXL gives a column: the label in lower case,
// the function's name for an unlabelled aggregate (`count`, seen on the wire),
// "expression" or "constant" for the rest (Informix's own labels).
func columnLabel(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if isName(name) {
		return name
	}
	if open := strings.IndexByte(name, '('); open > 0 {
		switch function := strings.TrimSpace(name[:open]); function {
		case "count", "sum", "min", "max", "avg":
			return function
		}
		return "expression"
	}
	if tokens, err := tokenize(name); err == nil && len(tokens) == 1 {
		return "constant"
	}
	return "expression"
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}
