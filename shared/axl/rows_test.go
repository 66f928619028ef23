package axl

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/soap"
)

// answer wraps what stands inside return as a node sends it.
func answer(rows string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><ns:executeSQLQueryResponse xmlns:ns="http://www.cisco.com/AXL/API/14.0" sequence="1563080407841"><return>` +
		rows + `</return></ns:executeSQLQueryResponse></soapenv:Body></soapenv:Envelope>`
}

// absent marks a nil value, which is not an empty one.
const absent = "(absent)"

// rowsOf decodes with a buffer of size bytes, reading through r.
func rowsOf(r io.Reader, size int, columns ...string) ([][]string, error) {
	var out [][]string
	s := newScanner(r, columns, func(values [][]byte) error {
		row := make([]string, len(values))
		for i, v := range values {
			if row[i] = string(v); v == nil {
				row[i] = absent
			}
		}
		out = append(out, row)
		return nil
	})
	s.buf = make([]byte, size)
	err := s.run("executeSQLQueryResponse")
	return out, err
}

func TestRows(t *testing.T) {
	columns := []string{"pkid", "userid"}
	tests := []struct {
		name    string
		columns []string
		body    string
		want    [][]string
	}{
		{"two rows", columns, answer("<row><pkid>1</pkid><userid>jdoe</userid></row><row><pkid>2</pkid><userid>asmith</userid></row>"), [][]string{{"1", "jdoe"}, {"2", "asmith"}}},
		{"no row", columns, answer(""), nil},
		{"return without an end tag", columns, strings.Replace(answer(""), "<return></return>", "<return/>", 1), nil},
		{"NULL in each way it is written", columns, answer("<row><pkid/><userid></userid></row><row><pkid></pkid><userid/></row><row><pkid /><userid xsi:nil='true'/></row>"), [][]string{{"", ""}, {"", ""}, {"", ""}}},
		{"other order, other columns between", columns, answer("<row><pkid>1</pkid><x>9</x><userid>a</userid></row><row><userid>b</userid><x><y>deep</y></x><pkid>2</pkid></row><row><x/><pkid>3</pkid><userid>c</userid></row>"), [][]string{{"1", "a"}, {"2", "b"}, {"3", "c"}}},
		{"optional column, present and absent", []string{"pkid", "?userid"}, answer("<row><pkid>1</pkid><userid/></row><row><pkid>2</pkid></row><row><pkid>3</pkid><userid>c</userid></row>"), [][]string{{"1", ""}, {"2", absent}, {"3", "c"}}},
		{"entities", columns, answer("<row><pkid>&lt;&gt;&amp;&quot;&apos;</pkid><userid>&#228;&#xF6;&#x1F600;a&amp;amp;b</userid></row><row><pkid>plain</pkid><userid>R&amp;D</userid></row>"), [][]string{{`<>&"'`, "äö😀a&amp;b"}, {"plain", "R&D"}}},
		{"CDATA and comments in a value", columns, answer("<row><pkid>a<![CDATA[<&>]]>b<!-- <row> -->c<?pi?>&amp;</pkid><userid><![CDATA[]]></userid></row>"), [][]string{{"a<&>bc&", ""}}},
		{"line ends", columns, answer("<row><pkid>a\r\nb\rc\n</pkid><userid>&#13;&#10;<![CDATA[\r\n]]></userid></row>"), [][]string{{"a\nb\nc\n", "\r\n\n"}}},
		{"prefixes and attributes", columns, answer(`<n:row xmlns:n='a>b' x="/>"><n:pkid a="1">1</n:pkid ><n:userid>a</n:userid></n:row>`), [][]string{{"1", "a"}}},
		{"rows with other prefixes", columns, answer(`<row><pkid>1</pkid><userid>a</userid></row><n:row><n:pkid>2</n:pkid><n:userid>b</n:userid></n:row><row><pkid>3</pkid><userid>c</userid></row>`), [][]string{{"1", "a"}, {"2", "b"}, {"3", "c"}}},
		{"pretty printed, with comments", columns, answer("\n  <!-- rows -->\n  <row>\n    <pkid>1</pkid>\n    <!-- - --><userid>a</userid>\n  </row >\n  <other/>\n  <row>\n    <pkid>2</pkid>\n    <userid>b</userid>\n  </row>\n"), [][]string{{"1", "a"}, {"2", "b"}}},
		{"header, byte order mark, text after", columns, "\xef\xbb\xbf" + `<S:Envelope xmlns:S="x"><S:Header><h><Body/>text</h></S:Header><S:Body><executeSQLQueryResponse><warning/><return><row><pkid>1</pkid><userid>a</userid></row></return><more>1</more></executeSQLQueryResponse></S:Body></S:Envelope>` + "\n<!-- end -->\n", [][]string{{"1", "a"}}},
		{"count", []string{"count"}, answer("<row><count>75000</count></row>"), [][]string{{"75000"}}},
		{"more columns than remembered", []string{"c299", "c1"}, answer(wide(300) + wide(300)), [][]string{{"299", "1"}, {"299", "1"}}},
		{"a value longer than the buffer", columns, answer("<row><pkid>" + strings.Repeat("x", 3*bufferSize) + "</pkid><userid>a</userid></row>"), [][]string{{strings.Repeat("x", 3*bufferSize), "a"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 7, 64, bufferSize} {
				for how, r := range map[string]io.Reader{"whole": strings.NewReader(tt.body), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.body)), "data with the end": iotest.DataErrReader(strings.NewReader(tt.body))} {
					got, err := rowsOf(r, size, tt.columns...)
					if err != nil {
						t.Fatalf("buffer %d, %s: %v", size, how, err)
					}
					if diff := cmp.Diff(tt.want, got); diff != "" {
						t.Fatalf("buffer %d, %s (-want +got):\n%s", size, how, diff)
					}
				}
			}
			if want, err := oracle(tt.body, tt.columns...); err != nil || !cmp.Equal(want.rows, tt.want) {
				t.Errorf("the oracle says %v, %v", want.rows, err)
			}
		})
	}
}

func wide(n int) string {
	var b strings.Builder
	b.WriteString("<row>")
	for i := range n {
		fmt.Fprintf(&b, "<c%d>%d</c%d>", i, i, i)
	}
	b.WriteString("</row>")
	return b.String()
}

func TestRowsRefused(t *testing.T) {
	good := "<row><pkid>1</pkid><userid>a</userid></row>"
	tests := map[string]string{
		"nothing":                       "",
		"HTML":                          "<html><body>No</body></html>",
		"another operation's answer":    strings.ReplaceAll(answer(good), "executeSQLQueryResponse", "executeSQLUpdateResponse"),
		"a fault":                       `<e:Envelope><e:Body><e:Fault><faultstring>x</faultstring></e:Fault></e:Body></e:Envelope>`,
		"no return":                     `<e:Envelope><e:Body><executeSQLQueryResponse></executeSQLQueryResponse></e:Body></e:Envelope>`,
		"empty response":                `<e:Envelope><e:Body><executeSQLQueryResponse/></e:Body></e:Envelope>`,
		"document type":                 `<!DOCTYPE a [<!ENTITY b "c">]>` + answer(good),
		"document type in a row":        answer(`<row><pkid><!ENTITY b "c"></pkid><userid/></row>`),
		"unknown entity":                answer("<row><pkid>&nbsp;</pkid><userid/></row>"),
		"entity without end":            answer("<row><pkid>&amp</pkid><userid/></row>"),
		"NUL by number":                 answer("<row><pkid>&#0;</pkid><userid/></row>"),
		"half a surrogate":              answer("<row><pkid>&#xD800;</pkid><userid/></row>"),
		"element inside a column":       answer("<row><pkid><b>1</b></pkid><userid/></row>"),
		"column twice":                  answer("<row><pkid>1</pkid><userid/><pkid>2</pkid></row>"),
		"column twice in the 2nd row":   answer("<row><pkid>1</pkid><userid/></row><row><pkid>1</pkid><userid/><pkid>2</pkid></row>"),
		"text in a row":                 answer("<row>x<pkid>1</pkid><userid/></row>"),
		"text between rows":             answer(good + "x" + good),
		"CDATA between rows":            answer(good + "<![CDATA[x]]>"),
		"tags that cross":               answer("<row><pkid>1<userid></pkid></userid></row>"),
		"row closed by another name":    answer("<row><pkid>1</pkid><userid/></rows>"),
		"return closed by another":      strings.Replace(answer(good), "</return>", "</returns>", 1),
		"tags cross in skipped":         answer("<row><pkid>1</pkid><userid/><x><y></x></y></row>"),
		"skipped too deep":              answer("<row><pkid>1</pkid><userid/>" + strings.Repeat("<x>", 60) + strings.Repeat("</x>", 60) + "</row>"),
		"other encoding":                strings.Replace(answer(good), "UTF-8", "ISO-8859-1", 1),
		"element after the envelope":    answer(good) + "<x/>",
		"text after the envelope":       answer(good) + "x",
		"second answer":                 answer(good) + answer(good),
		"tag without a name":            answer("<row>< >1</ ><pkid/><userid/></row>"),
		"slash inside a tag":            answer("<row><pkid/ >1</pkid><userid/></row>"),
		"attribute that never ends":     answer(`<row><pkid a=">1</pkid><userid/></row>`),
		"name with two colons":          answer("<row><a:b:pkid>1</a:b:pkid><userid/></row>"),
		"unfinished comment at the end": answer(good) + "<!--",
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, bufferSize} {
				if rows, err := rowsOf(strings.NewReader(body), size, "pkid", "userid"); err == nil {
					t.Errorf("buffer %d: accepted, rows %q", size, rows)
				}
			}
		})
	}
	t.Run("a row beyond all measure", func(t *testing.T) {
		_, err := rowsOf(io.MultiReader(strings.NewReader(answer("")[:300]), strings.NewReader("<row><pkid>"), endless{}), bufferSize, "pkid")
		_, err2 := rowsOf(io.MultiReader(strings.NewReader(strings.TrimSuffix(answer(""), answer("")[strings.Index(answer(""), "</return>"):])+"<row><pkid>"), endless{}), bufferSize, "pkid")
		if err == nil || !errors.Is(err2, errRow) {
			t.Errorf("got %v and %v", err, err2)
		}
	})
	t.Run("a reader that gives nothing", func(t *testing.T) {
		if _, err := rowsOf(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(answer("")))), 16, "pkid"); !errors.Is(err, iotest.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		if _, err := rowsOf(idle{}, 16, "pkid"); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("got %v", err)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// An answer cut anywhere before the envelope's end is an error, and rows that were complete before the cut are handed over.
func TestEveryCutIsSeen(t *testing.T) {
	body := answer("<row><pkid>1</pkid><userid>a&amp;b</userid></row>\n<row><pkid>2</pkid><userid><![CDATA[x]]></userid></row><!-- c --><row><pkid>3</pkid><userid/></row>")
	for cut := range len(body) {
		rows, err := rowsOf(strings.NewReader(body[:cut]), 64, "pkid", "userid")
		if err == nil {
			t.Fatalf("cut at %d was not seen: ...%s", cut, body[max(cut-30, 0):cut])
		}
		if whole := strings.Count(body[:cut], "</row>"); len(rows) != whole {
			t.Fatalf("cut at %d: %d rows handed over, %d were complete", cut, len(rows), whole)
		}
	}
	if rows, err := rowsOf(strings.NewReader(body), 64, "pkid", "userid"); err != nil || len(rows) != 3 {
		t.Errorf("uncut: %v, %v", rows, err)
	}
}

// verdict of the oracle.
type verdict struct {
	rows [][]string
	end  int64 // where the envelope ends
}

type element struct {
	local    string
	text     string
	children []*element
}

func (e *element) first(name string) *element {
	for _, c := range e.children {
		if c.local == name {
			return c
		}
	}
	return nil
}

// oracle reads the same answer with encoding/xml, whole.
func oracle(body string, columns ...string) (verdict, error) {
	var v verdict
	root := &element{}
	d := xml.NewDecoder(strings.NewReader(body))
	stack := []*element{root}
	for {
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return v, err
		}
		top := stack[len(stack)-1]
		switch t := t.(type) {
		case xml.Directive:
			return v, errDirective
		case xml.StartElement:
			e := &element{local: t.Name.Local}
			top.children = append(top.children, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
			if len(stack) == 1 {
				v.end = d.InputOffset()
			}
		case xml.CharData:
			top.text += string(t)
		}
	}
	at := root
	for _, name := range []string{"Envelope", "Body", "executeSQLQueryResponse", "return"} {
		if at = at.first(name); at == nil {
			return v, fmt.Errorf("no %s", name)
		}
	}
	for _, row := range at.children {
		if row.local != "row" {
			continue
		}
		out := make([]string, len(columns))
		for i, name := range columns {
			name, optional := strings.CutPrefix(name, "?")
			cell := row.first(name)
			switch {
			case cell != nil && len(cell.children) > 0:
				return v, errChild
			case cell != nil:
				out[i] = cell.text
			case optional:
				out[i] = absent
			default:
				return v, &MissingColumnError{Column: name}
			}
		}
		v.rows = append(v.rows, out)
	}
	return v, nil
}

// FuzzRows compares the scanner with encoding/xml where both accept, cuts what was accepted, and reads it in small pieces.
func FuzzRows(f *testing.F) {
	for _, rows := range []string{"", "<row><pkid>1</pkid><userid>a</userid></row>", "<row><pkid>&amp;</pkid><userid><![CDATA[x]]></userid></row><row><userid/><pkid>\r\n</pkid></row>",
		"<n:row a='>'><n:pkid/><x><y/></x><userid> &#228; </userid></n:row><!-- c -->", "<row><pkid>1</pkid></row><row><pkid>2</pkid><userid>b</userid></row>"} {
		f.Add(answer(rows), 5)
		f.Add("<Envelope><Body><executeSQLQueryResponse><return>"+rows+"</return></executeSQLQueryResponse></Body></Envelope>", 40)
	}
	f.Fuzz(func(t *testing.T, body string, cut int) {
		columns := []string{"pkid", "?userid"}
		got, err := rowsOf(strings.NewReader(body), bufferSize, columns...)
		small, smallErr := rowsOf(iotest.HalfReader(strings.NewReader(body)), 3, columns...)
		if (err == nil) != (smallErr == nil) || !cmp.Equal(got, small) {
			t.Fatalf("whole: %q, %v\nin pieces: %q, %v", got, err, small, smallErr)
		}
		if err != nil {
			return
		}
		want, oracleErr := oracle(body, columns...)
		if oracleErr != nil {
			return // encoding/xml looks at names and characters more closely
		}
		if diff := cmp.Diff(want.rows, got); diff != "" {
			t.Fatalf("rows (-encoding/xml +scanner):\n%s", diff)
		}
		if cut >= 0 && int64(cut) < want.end {
			if _, err := rowsOf(strings.NewReader(body[:cut]), bufferSize, columns...); err == nil {
				t.Fatalf("cut at %d of %d was not seen", cut, want.end)
			}
		}
	})
}

// bigAnswer has rows of about 200 bytes, as a SELECT of pkid, userid and node name gives.
func bigAnswer(from, rows int) []byte {
	var b bytes.Buffer
	head, tail, _ := strings.Cut(answer("|"), "|")
	b.WriteString(head)
	for i := from; i < from+rows; i++ {
		fmt.Fprintf(&b, "<row><pkid>%08x-6f7c-4f0e-9d6b-0a1b2c3d4e5f</pkid><userid>firstname.lastname.%06d@emea.subsidiary.example.com</userid><node>imp-emea-publisher-%02d.datacenter.emea.example.com</node></row>", i, i, i%6)
	}
	b.WriteString(tail)
	return b.Bytes()
}

const benchRows, benchPage = 75_000, 8_000

// BenchmarkDecode75000 decodes 75,000 rows in pages below 2 MB, by the scanner and by encoding/xml in the same run.
func BenchmarkDecode75000(b *testing.B) {
	var pages [][]byte
	size := 0
	for from := 0; from < benchRows; from += benchPage {
		p := bigAnswer(from, min(benchPage, benchRows-from))
		pages = append(pages, p)
		size += len(p)
	}
	b.Run("scanner", func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			rows := 0
			for _, p := range pages {
				c := New(fake(func(soap.Request) (io.Reader, error) { return bytes.NewReader(p), nil }), "14.0")
				n, err := c.Query(b.Context(), "SELECT", []string{"pkid", "userid", "node"}, func([][]byte) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
				rows += n
			}
			if rows != benchRows {
				b.Fatal(rows)
			}
		}
	})
	b.Run("encoding-xml", func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			rows := 0
			for _, p := range pages {
				var out struct {
					Rows []struct {
						PKID   string `xml:"pkid"`
						UserID string `xml:"userid"`
						Node   string `xml:"node"`
					} `xml:"Body>executeSQLQueryResponse>return>row"`
				}
				if err := xml.Unmarshal(p, &out); err != nil {
					b.Fatal(err)
				}
				rows += len(out.Rows)
			}
			if rows != benchRows {
				b.Fatal(rows)
			}
		}
	})
}
