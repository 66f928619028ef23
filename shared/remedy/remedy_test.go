package remedy

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/procedure"
)

// onlyGood are the reasons that come with True only, or with findings only:
// there is nothing to do about a peer.
var onlyGood = map[string]bool{
	"EntriesMatch": true, "CopiesExist": true, "DomainsMatch": true, "SyncedRecently": true, "ReachableFromPeerkeeper": true,
	"CredentialsAccepted": true, "AllStarted": true, "CountsEqual": true, "BucketsEqual": true, "SetEqual": true,
	"OnInterval": true, "SyncedOverServedLeaf": true, "AllResolve": true, "OneServerResolves": true,
	"NodeUnreachable": true, "ReleaseDiffers": true, "ClockSkew": true, "UnlistedNode": true, "UnlistedPeer": true,
	"SyncAgentNotCompleted": true, "ParametersDiffer": true, "IntervalDiffers": true, "CertificateExpiring": true,
	"CertificateChanged": true, "DNSServerSilent": true, "InTrustStore": true, "TrustedByCA": true, "BeforeRelease14": true,
	"CertificateNotYetValid": true, "NodeRenamed": true, "DomainRenamed": true, "CertificateRenewed": true, "CertificateIssuerChanged": true, "EntryReused": true, "NameMismatch": true, "AddressNotInCertificate": true,
	"NameInCNOnly": true, "NodeNotInMultiServer": true, "ChainIncomplete": true, "ChainCertificateExpired": true,
	"CertificateUntrustedHere": true, "WeakKey": true, "WeakSignature": true, "WrongKeyUsage": true, "NoClientAuth": true,
	"SelfSigned": true, "ECDSAMissing": true, "RenewedButNotServed": true, "HandshakeTimeout": true,
	"OnlyWeakSuites": true, "PortNotDirectTLS": true, "NotTrustedByPeers": true,
	"NotReplicated": true, "SameSubjectOtherKey": true, "CASignedLeafInTrustStore": true, "CAConflict": true,
	"TrustedCAExpires": true, "TrustStoreNotRead": true, "PlatformAccountRejected": true, "SANNotResolving": true,
	"DNSServerLame": true, "PTRMissing": true, "PTRMismatch": true, "MoreFindings": true,
}

// TestEveryReasonHasSteps reads the judgement's source: every Reason that is
// declared has steps or is on the list above, and every one that Judge or
// certcheck gives to a False or Unknown has steps, list or not.
func TestEveryReasonHasSteps(t *testing.T) {
	names := reasonConstants(t)
	if len(names) < 60 {
		t.Fatalf("found only %d reasons in package peer; the reading of its source is broken", len(names))
	}
	for name, value := range names {
		if len(steps[peer.Reason(value)]) == 0 && !onlyGood[value] {
			t.Errorf("peer.%s (%s) has no steps and is not known to be harmless", name, value)
		}
		if len(steps[peer.Reason(value)]) > 0 && onlyGood[value] {
			t.Errorf("%s is on the harmless list and has steps", value)
		}
	}
	found := 0
	for _, pkg := range []string{"peer", "certcheck"} {
		for name := range bad(t, pkg) {
			value, ok := names[name]
			if !ok {
				continue // a variable: its values are those of facts, in the first group
			}
			found++
			if len(steps[peer.Reason(value)]) == 0 {
				t.Errorf("%s makes a condition False or Unknown for %s, which has no steps", pkg, value)
			}
		}
	}
	if found < 15 {
		t.Errorf("found only %d bad reasons in the judgement; the reading of its source is broken", found)
	}
}

// reasonConstants maps the names of package peer's Reason constants to values.
func reasonConstants(t *testing.T) map[string]string {
	out := map[string]string{}
	eachFile(t, "peer", func(f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			typ, ok1 := v.Type.(*ast.Ident)
			lit, ok2 := v.Values[0].(*ast.BasicLit)
			if ok1 && ok2 && typ.Name == "Reason" {
				out[v.Names[0].Name] = strings.Trim(lit.Value, `"`)
			}
			return true
		})
	})
	return out
}

// bad lists the names handed as reason to no(…) and unsure(…), those of
// Condition literals whose Status is False or UnknownStatus, and those
// assigned to a Reason without a Status of True beside it.
func bad(t *testing.T, pkg string) map[string]bool {
	out := map[string]bool{}
	ident := func(e ast.Expr) string {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.SelectorExpr:
			return x.Sel.Name
		}
		return ""
	}
	eachFile(t, pkg, func(f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.CallExpr:
				if fn := ident(x.Fun); (fn == "no" || fn == "unsure") && len(x.Args) > 0 {
					out[ident(x.Args[0])] = true
				}
			case *ast.AssignStmt:
				reason, good := "", false
				for i, lhs := range x.Lhs {
					if sel, ok := lhs.(*ast.SelectorExpr); ok && len(x.Lhs) == len(x.Rhs) {
						switch sel.Sel.Name {
						case "Reason":
							reason = ident(x.Rhs[i])
						case "Status":
							good = ident(x.Rhs[i]) == "True"
						case "Severity": // a finding, not a condition
							good = true
						}
					}
				}
				if !good {
					out[reason] = true
				}
			case *ast.CompositeLit:
				status, reason := "", ""
				for _, e := range x.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok {
						switch ident(kv.Key) {
						case "Status":
							status = ident(kv.Value)
						case "Reason":
							reason = ident(kv.Value)
						}
					}
				}
				if status == "False" || status == "UnknownStatus" {
					out[reason] = true
				}
			}
			return true
		})
	})
	delete(out, "")
	return out
}

func eachFile(t *testing.T, pkg string, visit func(*ast.File)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join("..", "peer")); errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the source of package peer is not beside this package")
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		visit(f)
	}
}

// TestStepsAreFilledIn expands every step and looks for what is left over.
func TestStepsAreFilledIn(t *testing.T) {
	emea, apac := mesh.Cluster{ID: "emea", Publisher: "imp-emea-pub.example.com"}, mesh.Cluster{ID: "apac", Publisher: "imp-apac-pub.example.com"}
	m := &mesh.Mesh{Domain: "example.com", Clusters: []mesh.Cluster{emea, apac}, Peers: []mesh.Peer{{ID: mesh.PeerID{From: "emea", To: "apac"}, Protocol: mesh.TLSProto}}}
	for reason := range steps {
		for _, message := range []string{"a message {from} a cluster.", ""} {
			for _, step := range For(m, m.Peers[0].ID, peer.Condition{Reason: reason, Message: message}) {
				got := strings.ReplaceAll(step.On+" "+step.Do, "a message {from} a cluster", "it is wrong")
				if strings.ContainsAny(got, "{}") || strings.TrimSpace(step.Do) == "" && message != "" || strings.HasPrefix(step.Do, ".") {
					t.Errorf("%s: %q", reason, got)
				}
				if step.Menu != "" && !strings.Contains(step.Menu, " > ") && step.Menu != procedure.CommandLine {
					t.Errorf("%s: menu %q is no way through the pages", reason, step.Menu)
				}
			}
		}
	}
}
