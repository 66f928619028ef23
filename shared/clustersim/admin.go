package clustersim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// verb is a change by its name below /clusters/ID, where its fields are the body.
type verb struct {
	name    string
	example string // a body that a new mesh takes
	help    string
	decode  func(body []byte) (Change, error)
}

func verbOf[C Change](name, example, help string) verb {
	return verb{name, example, help, func(body []byte) (Change, error) {
		var change C
		err := decode(body, &change)
		return change, err
	}}
}

// adminVerbs are all changes that the admin URL knows. Another one is a file
// change_NAME.go, with the type and its apply, and a row here: the URL, its
// errors and `peerkeeper sim --help` follow from it.
func adminVerbs() []verb {
	return []verb{
		verbOf[Peers]("peers", `{"peer":"apac","mode":"stuck"}`, "what it pulls from another cluster: ok, stuck, hung, slow, deaf, badCredentials; a forced sync; the entry itself: present, address, protocol, username, password"),
		verbOf[Services]("services", `{"node":"imp-emea-sub.example.com","service":"Cisco Intercluster Sync Agent","status":"Stopped"}`, "a service's status, a Restart, a crash, NotActivated; staysDown, takes: how it starts from now on"),
		verbOf[Users]("users", `{"add":10}`, "who is at home: add, remove, duplicate, unassign, assign, invalidUri, move, or one of your choice"),
		verbOf[Parameters]("parameters", `{"name":"ICSAEnableAutoRecovery","value":"f"}`, "a service parameter, on one node or all"),
		verbOf[Credentials]("credentials", `{"password":"another"}`, "an account: read, write, platform, platform-write, or intercluster, of which the entries of other clusters for this one hold the password"),
		verbOf[Certificates]("certificates", `{"node":"imp-emea-pub.example.com","issuer":"self","served":false}`, "a node's identity, renewed"),
		verbOf[Trust]("trust", `{"remove":"imp-apac-pub.example.com"}`, "what is in a trust store"),
		verbOf[TLS]("tls", `{"node":"imp-emea-pub.example.com","served":"other"}`, "what Peerkeeper meets on its way to a node"),
		verbOf[DNS]("dns", `{"name":"imp-apac-pub.example.com","answer":"nxdomain"}`, "what the cluster's DNS servers answer"),
		verbOf[Scheme]("scheme", `{"addressScheme":"directoryURI"}`, "the IM address scheme"),
		verbOf[HA]("ha", `{"enabled":false}`, "high availability of its redundancy group: enabled, automaticFallback, fallback"),
		verbOf[Nodes]("nodes", `{"node":"imp-emea-sub.example.com","down":true}`, "a node: down, reboot, staysDown, release, haState; add one"),
		verbOf[Notification]("notification", `{"routerRestart":true}`, "whether the bell asks for a restart of Cisco XCP Router; onChange: whenever an entry is added, edited or deleted"),
		verbOf[Perfmon]("perfmon", `{"node":"imp-emea-sub.example.com","counter":"SRMState","value":11}`, "what a performance counter reads; roles: false takes PerfMon from the read account"),
		verbOf[Replication]("replication", `{"node":"imp-emea-sub.example.com","state":3}`, "a node's database replication: 2 is good, 3 is bad"),
		verbOf[Sync]("sync", `{"completed":false}`, "whether Cisco Sync Agent has completed the sync of users; duplicates: copied or skipped by ICSA; firstFull: how long that of a new entry takes"),
		verbOf[Reachable]("reachable", `{"from":"peerkeeper","value":false}`, "who can reach it: peerkeeper, another cluster, all"),
		verbOf[Log]("log", `{"severity":3}`, "what its logs hold, how they are served and pushed; an alarm"),
		verbOf[Restore]("restore", `{"users":-10}`, "a backup: its users made last are gone, and the copies too"),
	}
}

// AdminHelp lists what the admin URL takes, one line each with a body to copy.
func AdminHelp() string {
	var out strings.Builder
	line := func(call, example, help string) { fmt.Fprintf(&out, "  %-26s %s\n      %s\n", call, help, example) }
	for _, v := range adminVerbs() {
		line("/clusters/ID/"+v.name, v.example, v.help)
	}
	line("/faults", `{"cluster":"apac","operation":"executeSQLQuery","kind":"http503","when":"before","times":2}`, "a rule by which requests fail; DELETE takes all away")
	return out.String()
}

// noSuchCall is what a path is answered that is none of the interface's.
type noSuchCall struct{ method, path string }

func (e noSuchCall) Error() string { return e.method + " " + e.path + ": no such admin call" }

// Admin serves the admin interface: JSON in, 204 out, 400 with {error}.
func (s *Sim) Admin() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/state" && r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(s.State()); err != nil {
				s.log("answering GET /state: %v", err)
			}
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
		if err == nil {
			err = s.Do(r.Method, r.URL.Path, body)
		}
		status := http.StatusBadRequest
		switch {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
			return
		case errors.As(err, new(noSuchCall)):
			status = http.StatusNotFound
		case errors.Is(err, errSimulator):
			status = http.StatusInternalServerError
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}); err != nil {
			s.log("answering %s %s: %v", r.Method, r.URL.Path, err)
		}
	})
}

// Do is the admin interface without HTTP, for scenarios that are data. What is
// due by now is done first.
func (s *Sim) Do(method, path string, body []byte) error {
	return s.locked(func(now time.Time) error {
		s.log("admin: %s %s %s", method, path, bytes.TrimSpace(body))
		parts := strings.Split(strings.Trim(path, "/"), "/")
		switch {
		case path == "/faults" && method == http.MethodPost:
			var rule faultBody
			if err := decode(body, &rule); err != nil {
				return err
			}
			f, err := rule.fault()
			if err != nil {
				return err
			}
			return s.addFault(f)
		case path == "/faults" && method == http.MethodDelete:
			s.faults = nil
			return nil
		case len(parts) == 3 && parts[0] == "clusters" && method == http.MethodPost:
			c := s.cluster(parts[1])
			if c == nil {
				return notInMesh(parts[1])
			}
			for _, v := range adminVerbs() {
				if v.name != parts[2] {
					continue
				}
				change, err := v.decode(body)
				if err != nil {
					return err
				}
				return change.apply(s, c, now)
			}
		}
		return noSuchCall{method, path}
	})
}

// decode is strict: an unknown field, a wrong type or anything after the object
// is an error that names it, and the keys there are.
func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		var mistyped *json.UnmarshalTypeError
		if errors.As(err, &mistyped) && mistyped.Field != "" {
			key := mistyped.Field[strings.LastIndexByte(mistyped.Field, '.')+1:] // an embedded struct has no name in JSON
			return wrong(key, "is a %s, wanted %s", mistyped.Value, mistyped.Type)
		}
		return wrong("body", "%v; its keys: %s", err, strings.Join(keys(reflect.TypeOf(into).Elem()), ", "))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return wrong("body", "more than one JSON value")
	}
	return nil
}

// keys are the JSON names of a struct's fields.
func keys(of reflect.Type) (names []string) {
	for _, field := range reflect.VisibleFields(of) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// faultBody is a rule as JSON: a duration is text there.
type faultBody struct {
	Fault
	Delay string `json:"delay"`
}

func (b faultBody) fault() (Fault, error) {
	f := b.Fault
	if b.Delay != "" {
		var err error
		if f.Delay, err = time.ParseDuration(b.Delay); err != nil || f.Delay < 0 {
			return Fault{}, wrong("delay", "%q is not a duration", b.Delay)
		}
	}
	return f, nil
}
