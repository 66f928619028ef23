package lambdahost_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerkeeper/shared/alarm"
	"peerkeeper/shared/certificate"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/record"
	"peerkeeper/shared/repair"
	"peerkeeper/shared/store"
)

// What one release leaves in the table the next must read, and the one before
// too, after a rollback. testdata/records/vN holds an item of each type as
// schema N wrote it, every field filled in. They are never changed: a field
// that is renamed or dropped shows here as lost.

const records = "../../testdata/records"

// recordType is one kind of item.
type recordType struct {
	name   string
	schema int
	sample func() (store.Item, error)
	check  func(it store.Item, schema int) (rewritten store.Item, newer bool, err error)
}

func of[T any](name string, schema int, key store.Key) recordType {
	return recordType{
		name: name, schema: schema,
		sample: func() (store.Item, error) {
			var v T
			fill(reflect.ValueOf(&v).Elem(), 0)
			doc := store.NewDoc(key, schema, v)
			doc.TTL = time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC)
			return doc.Item()
		},
		check: func(it store.Item, schema int) (store.Item, bool, error) {
			it.Key = key
			doc, err := store.Decode[T](it, schema)
			if err != nil {
				return store.Item{}, false, err
			}
			out, err := doc.Item()
			return out, doc.Newer, err
		},
	}
}

// recordTypes are all items with a body of their own.
func recordTypes() []recordType {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	pair := mesh.PeerID{From: "emea", To: "apac"}
	return []recordType{
		of[peer.ClusterRecord]("cluster", record.ClusterSchema, store.Cluster("acme", "emea")),
		of[peer.BucketRecord]("buckets", record.BucketsSchema, store.Buckets("acme", "emea")),
		of[certificate.Record]("cert", record.CertSchema, store.Cert("acme", "emea")),
		of[record.Auth]("auth", record.AuthSchema, store.Auth("acme", "emea", mesh.ReadAccount)),
		of[peer.SyncRecord]("peer-sync", record.SyncSchema, store.PeerSync("acme", pair)),
		of[peer.CertRecord]("peer-cert", record.CertSchema, store.PeerCert("acme", pair)),
		of[peer.StateRecord]("peer-stuck", record.StateSchema, store.PeerStuck("acme", pair)),
		of[store.Run]("run", store.RunSchema, store.RunOf("acme", "peersync")),
		of[alarm.Item]("alarm", alarm.Schema, store.Alarm("acme", "0123456789abcdef")),
		of[record.Pin]("pin", record.PinSchema, store.Pin("acme", "imp-emea-pub.example.com")),
		of[record.Proposed]("proposal", record.ProposedSchema, store.Key{PK: store.Live("acme"), SK: "PROPOSAL#p1"}),
		of[record.Override]("word", record.OverrideSchema, store.Pause("acme", "mesh")),
		of[record.Approval]("approval", record.OverrideSchema, store.Approval("acme", "a1")),
		of[repair.Gate]("gate", repair.GateSchema, store.Gate("acme")),
		of[repair.Entry]("audit", repair.AuditSchema, store.Audit("acme", at, 7)),
	}
}

// fill puts something into every field, so that none can be lost unseen.
func fill(v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)))
		return
	case mesh.PeerID:
		v.Set(reflect.ValueOf(mesh.PeerID{From: "emea", To: "apac"}))
		return
	case time.Duration:
		v.SetInt(int64(30 * time.Minute))
		return
	case peer.Knowledge:
		v.SetString(string(peer.KnownFact))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1.5)
	case reflect.String:
		v.SetString("x>y & ü")
	case reflect.Pointer:
		if depth < 12 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth+1)
			}
		}
	}
}

func TestOldRecordsAreReadAndKept(t *testing.T) {
	known := map[string]bool{}
	for _, r := range recordTypes() {
		known[r.name+".json"] = true
		for version := max(1, r.schema-1); version <= r.schema; version++ {
			t.Run(fmt.Sprintf("%s v%d", r.name, version), func(t *testing.T) {
				body := readRecord(t, r, version)
				got, newer, err := r.check(store.Item{Version: 1, Body: body}, r.schema)
				if err != nil || newer {
					t.Fatalf("today's code does not read it: %v", err)
				}
				if diff := cmp.Diff(fields(t, body), fields(t, got.Body)); diff != "" {
					t.Errorf("read and written again it is another (-then +now):\n%s", diff)
				}
			})
		}
	}
	files, err := filepath.Glob(records + "/v*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !known[filepath.Base(f)] {
			t.Errorf("no type reads %s any more", f)
		}
	}
}

// readRecord reads an item, or writes it if it is not there and
// PEERKEEPER_WRITE_RECORDS is set: for a new type or schema. It never writes
// over one.
func readRecord(t *testing.T, r recordType, version int) []byte {
	t.Helper()
	path := filepath.Join(records, fmt.Sprint("v", version), r.name+".json")
	body, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && version == r.schema && os.Getenv("PEERKEEPER_WRITE_RECORDS") != "" {
		it, err := r.sample()
		if err != nil {
			t.Fatal(err)
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, it.Body, "", "  "); err != nil {
			t.Fatal(err)
		}
		pretty.WriteByte('\n')
		if err := os.WriteFile(path, pretty.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return pretty.Bytes()
	}
	if err != nil {
		t.Fatalf("%v; PEERKEEPER_WRITE_RECORDS=1 go test -run %s writes a new one", err, "TestOldRecords")
	}
	return body
}

// fields is a body without what changes with every write.
func fields(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "version")
	delete(m, "ttl") // the item's own attribute carries it
	return m
}

// The check above can fail: a nested field that no type has any more is lost
// when the item is written again.
func TestALostFieldShows(t *testing.T) {
	for _, r := range recordTypes() {
		if r.name != "gate" {
			continue
		}
		body := bytes.Replace(readRecord(t, r, r.schema), []byte(`"seq": 7`), []byte(`"seq": 7, "droppedSince": 1`), 1)
		got, _, err := r.check(store.Item{Version: 1, Body: body}, r.schema)
		if err != nil || cmp.Equal(fields(t, body), fields(t, got.Body)) {
			t.Errorf("a field was lost and nobody noticed: %v", err)
		}
	}
}

// A record of a newer release is shown and never written over.
func TestNewerRecordsAreReadAndNeverWritten(t *testing.T) {
	for _, r := range recordTypes() {
		t.Run(r.name, func(t *testing.T) {
			body := readRecord(t, r, r.schema)
			old := fmt.Sprintf(`"schema": %d`, r.schema)
			if !bytes.Contains(body, []byte(old)) {
				t.Fatal("the file shows no schema")
			}
			newer := []byte(strings.Replace(string(body), old, fmt.Sprintf(`"schema": %d, "fromTheFuture": {"a": 1}`, r.schema+1), 1))
			_, _, err := r.check(store.Item{Version: 1, Body: newer}, r.schema)
			if !errors.Is(err, store.ErrNewerSchema) {
				t.Errorf("today's code would write over it: %v", err)
			}
		})
	}
}
