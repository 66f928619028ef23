package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"peerkeeper/shared/secret"
)

const word = "hunter2-Wörd"

type account struct {
	Name     string
	Password secret.Text
	inner    secret.Text // fmt calls no methods on unexported fields
	list     []secret.Text
	byName   map[string]secret.Text
	pointer  *secret.Text
	anything any
}

func TestTextNeverShowsItself(t *testing.T) {
	text := secret.NewText(word)
	a := account{"axl", text, text, []secret.Text{text}, map[string]secret.Text{"a": text}, &text, text}
	creds := secret.Credentials{Username: "axl", Password: text, Version: "1"}
	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%p", "%10s", "%-.3s", "% x", "%#x", "%c", "%U", "%w", "%z"} {
		for name, value := range map[string]any{"text": text, "pointer": &text, "struct": a, "struct pointer": &a, "credentials": creds, "slice": []secret.Text{text}, "error": any(fmt.Errorf("x: %v", a))} {
			shown[verb+" of "+name] = fmt.Sprintf(verb, value)
		}
	}
	shown["Sprint"] = fmt.Sprint(text, a)
	shown["String"] = text.String()
	shown["GoString"] = text.GoString()
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "text", text, "struct", a, "credentials", creds, "group", slog.GroupValue(slog.Any("p", text)))
	}
	shown["slog"] = log.String()
	for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "xml": xml.Marshal} {
		for kind, value := range map[string]any{"text": text, "credentials": creds} {
			b, err := marshal(value)
			if err != nil {
				t.Errorf("%s of %s: %v", name, kind, err)
			}
			shown[name+" of "+kind] = string(b)
		}
	}
	b, err := json.Marshal(map[string]any{"a": &text, "b": []any{text}})
	if err != nil {
		t.Error(err)
	}
	shown["json in a map"] = string(b)
	panicked := func() (p any) {
		defer func() { p = recover() }()
		panic(a)
	}()
	shown["panic value"] = fmt.Sprint(panicked)

	hex := fmt.Sprintf("%x", word)
	for how, got := range shown {
		low := strings.ToLower(got)
		if strings.Contains(low, "hunter") || strings.Contains(low, hex[:12]) || strings.Contains(strings.ReplaceAll(low, " ", ""), hex[:12]) {
			t.Errorf("%s shows %s", how, got)
		}
	}
	// The guard itself: the same search finds a plain string.
	if plain := fmt.Sprintf("%+v", struct{ p string }{word}); !strings.Contains(plain, "hunter") {
		t.Error("the search finds nothing")
	}
	if text.Reveal() != word {
		t.Errorf("Reveal gives %q", text.Reveal())
	}
}

func TestTextEqual(t *testing.T) {
	a, b := secret.NewText(word), secret.NewText(word)
	if !a.Equal(b) || a.Equal(secret.NewText("other")) || a.Equal(secret.Text{}) || !(secret.Text{}).Equal(secret.NewText("")) {
		t.Error("Equal does not compare the secrets")
	}
	if a.IsZero() || !(secret.Text{}).IsZero() || (secret.Text{}).Reveal() != "" {
		t.Error("IsZero")
	}
}

func TestDecode(t *testing.T) {
	for _, password := range []string{"p w", "p:w", `p\"w\\`, "пароль", "p\u00a0w"} { // what may stand in one
		if c, err := secret.Decode("emea/read", []byte(`{"username":"axl","password":"`+password+`"}`)); err != nil {
			t.Errorf("%q: %v %v", password, c, err)
		}
	}
	c, err := secret.Decode("emea/read", []byte(`{"username":"axl","password":"p\u00e4ss","version":"7"}`))
	if err != nil || c.Username != "axl" || c.Password.Reveal() != "päss" || c.Version != "7" {
		t.Errorf("%+v %v", c, err)
	}
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"not JSON", `hunter2`, []string{"not a JSON object"}},
		{"a string", `"hunter2"`, []string{"not a JSON object"}},
		{"broken", `{"username":"axl","password":hunter2}`, []string{"broken JSON"}},
		{"cut off", `{"username":"axl","password":"hunter2`, []string{"broken JSON"}},
		{"a number for a password", `{"username":"axl","password":20070815}`, []string{`"password" is not a string`}},
		{"everything wrong", `{"username":"","pasword":"hunter2"}`, []string{`"username" is empty`, `unknown key "pasword"`, `no "password"`}},
		{"a key twice", `{"username":"axl","password":"hunter2","password":"hunter3"}`, []string{`"password" stands there twice`}},
		{"null", `{"username":null,"password":"hunter2"}`, []string{`"username" is not a string`}},
		{"a line end after the password", `{"username":"axl","password":"hunter2\n"}`, []string{`"password" ends in a line end`, "printf '%s'"}},
		{"a line end of Windows", `{"username":"axl","password":"hunter2\r\n"}`, []string{`"password" ends in a line end`}},
		{"a line end after the user name", `{"username":"axl\n","password":"hunter2"}`, []string{`"username" ends in a line end`}},
		{"a byte order mark before the password", "{\"username\":\"axl\",\"password\":\"\ufeffhunter2\"}", []string{"byte order mark"}},
		{"a blank before the password", `{"username":"axl","password":" hunter2"}`, []string{`"password" begins or ends with a blank`}},
		{"a blank after the user name", `{"username":"axl ","password":"hunter2"}`, []string{`"username" begins or ends with a blank`}},
		{"a hard blank after the password", `{"username":"axl","password":"hunter2\u00a0"}`, []string{"begins or ends with a blank"}},
		{"a tab within the password", `{"username":"axl","password":"hunter\t2"}`, []string{"control character"}},
		{"a NUL within the password", `{"username":"axl","password":"hunter\u00002"}`, []string{"control character"}},
		{"a zero-width blank within the password", `{"username":"axl","password":"hunter\u200b2"}`, []string{"cannot be seen"}},
		{"an empty user name", `{"username":"","password":"hunter2"}`, []string{`"username" is empty`}},
		{"a user name of blanks", `{"username":"  ","password":"hunter2"}`, []string{`"username" is nothing but blanks`}},
		{"a password of blanks", `{"username":"axl","password":"\t \n"}`, []string{`"password" is nothing but blanks`}},
		{"a colon in the user name", `{"username":"ad:axl","password":"hunter2"}`, []string{"colon", "7617"}},
		{"two objects", `{"username":"axl","password":"hunter2"}{}`, []string{"something follows"}},
		{"an empty version", `{"username":"axl","password":"hunter2","version":""}`, []string{`"version" is empty`}},
		{"not UTF-8", "{\"username\":\"axl\",\"password\":\"hunter2\xff\"}", []string{"UTF-8"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := secret.Decode("emea/read", []byte(c.text))
			if err == nil {
				t.Fatal("no error")
			}
			fe, ok := errors.AsType[*secret.FormatError](err)
			if !ok || fe.Name != "emea/read" {
				t.Errorf("error %v names no secret", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "20070815") {
				t.Errorf("error %q tells the password", err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"username":"axl","password":"p"}`, `{"username":"a","password":"b","version":"c"}`, "\ufeff{}", `{"username":1}`, `[`, `{"a":{"b":[1,2]}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := secret.Decode("emea/read", text)
		if (err == nil) != (c.Username != "") || (err == nil) == c.Password.IsZero() {
			t.Fatalf("%+v, %v", c, err)
		}
		if err != nil {
			if _, ok := errors.AsType[*secret.FormatError](err); !ok {
				t.Fatalf("error of another type: %v", err)
			}
			return
		}
		// Strict: another decoder reads the same.
		var plain struct{ Username, Password, Version string }
		if err := json.Unmarshal(bytes.TrimPrefix(text, []byte("\ufeff")), &plain); err != nil || plain.Username != c.Username || plain.Password != c.Password.Reveal() || plain.Version != c.Version {
			t.Fatalf("%+v is not %+v (%v)", c, plain, err)
		}
	})
}

// TestALentSecretIsItsOwnersToClear: then no copy of it is left in the text, nor in
// any of its copies.
func TestALentSecretIsItsOwnersToClear(t *testing.T) {
	typed := []byte(word)
	text := secret.Lent(typed)
	other := text
	if text.Reveal() != word || !text.Equal(secret.NewText(word)) || fmt.Sprint(text) != secret.Redacted {
		t.Errorf("it reveals %d bytes and prints %v", len(text.Reveal()), text)
	}
	clear(typed)
	if blank := strings.Repeat("\x00", len(word)); text.Reveal() != blank || other.Reveal() != blank {
		t.Error("something of it is left")
	}
	if !secret.Lent(nil).IsZero() {
		t.Error("nothing is a secret")
	}
}
