package clustersim

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The certificate management REST interface of release 14 and later. Paths and
// members are from Cisco's pages and third-party clients, as collected in the
// project's notes; the texts, and which node uses which form, are invented (see
// invented.go).

const (
	certificatePath = "/platformcom/api/v1/certmgr/config"
	contentJSON     = "application/json;charset=UTF-8"
	// platformRealm was seen in third-party code, in a message about rejected
	// log-ins.
	platformRealm = "CMPlatform Realm"
)

var sinceCertificateREST = release{14, 0, 1, 0, 0}

// The structs below are this package's own, as are all of its wire.
type (
	restSnapshot struct {
		TrackingID string         `json:"trackingId"`
		Server     string         `json:"server"`
		Identities []restIdentity `json:"identities"`
		Trusts     []restTrust    `json:"trusts"`
		Revoked    []struct{}     `json:"revokedCertificates"`
	}
	restIdentity struct {
		Service     string `json:"service"`
		Certificate string `json:"certificate"`
		CSR         string `json:"csr"`
	}
	restTrust struct {
		Service string     `json:"service"`
		Data    []restFile `json:"certificate_data"`
	}
	restFile struct {
		FileName    string `json:"filename,omitempty"`
		Certificate string `json:"certificate"`
	}
)

// certificateREST answers one request of that interface.
func (s *Sim) certificateREST(c *exchangeCall) *answer {
	n := c.n
	if !c.release.atLeast(sinceCertificateREST) {
		return s.html(http.StatusNotFound, "Not Found")
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	username, password, basic := c.r.BasicAuth()
	if basic {
		n.logIns++
	}
	var account *account
	for _, kind := range []string{"platform", "platform-write"} {
		if a := n.cluster.accounts[kind]; basic && username == a.username && password == a.password {
			account = a
		}
	}
	if account == nil {
		if basic {
			n.rejected++
			s.log("%s: log-in of %q rejected", n.name, username)
		}
		a := s.html(http.StatusUnauthorized, "Unauthorized")
		a.challenge, a.realm = true, platformRealm
		return a
	}
	service := c.r.URL.Query().Get("service")
	switch c.name {
	case "GET /snapshot/server":
		return s.restSnapshot(n, now)
	case "GET /options", "GET /snapshot/options":
		return s.json(http.StatusOK, map[string]any{
			"service": restServices(n), "keyType": []string{"rsa", "ec"}, "distribution": []string{"this-server", "multi-server"},
		})
	case "GET /identity/certificate":
		return s.restIdentity(n, service, now)
	case "GET /trust/certificate":
		return s.restTrustStore(n, service)
	case "POST /trust/certificates":
		if !account.write {
			return s.restRefusal(n, http.StatusForbidden, "the account has privilege 0 and may only read")
		}
		return s.restAddTrust(n, c.body, now)
	}
	return s.absent(n, "certificate management "+c.name)
}

func restServices(n *node) []string {
	if n.role == roleCUCM {
		return []string{serviceNameTomcat, serviceNameECDSA}
	}
	return []string{serviceNameTomcat, serviceNameECDSA, serviceNameCUP, serviceNameCUPXMPP}
}

// restStores are the services that stand for a store.
func restStores(n *node) []string {
	if n.role == roleCUCM {
		return []string{serviceNameTomcat}
	}
	return []string{serviceNameTomcat, serviceNameCUP, serviceNameCUPXMPP}
}

func (s *Sim) restSnapshot(n *node, now time.Time) *answer {
	s.sessions++
	out := restSnapshot{TrackingID: fmt.Sprintf("sim-%s-%d", n.name, s.sessions), Server: n.name, Identities: []restIdentity{}, Trusts: []restTrust{}, Revoked: []struct{}{}}
	identities, err := s.namedIdentities(n, now)
	if err != nil {
		return s.broken(n, "certificate snapshot", err)
	}
	for _, id := range identities {
		one := restIdentity{Service: id.service}
		if id.cert != nil {
			one.Certificate = chainText(id.cert)
		}
		out.Identities = append(out.Identities, one)
	}
	for _, service := range restStores(n) {
		one := restTrust{Service: service, Data: []restFile{}}
		store := s.trust(n, storeOf(service))
		for _, cert := range store.list() {
			one.Data = append(one.Data, restFile{FileName: trustFile(cert), Certificate: pemText(cert)})
		}
		for range store.empty {
			one.Data = append(one.Data, restFile{FileName: "empty.pem"})
		}
		out.Trusts = append(out.Trusts, one)
	}
	return s.json(http.StatusOK, out)
}

func (s *Sim) restIdentity(n *node, service string, now time.Time) *answer {
	identities, err := s.namedIdentities(n, now)
	if err != nil {
		return s.broken(n, "identity certificate", err)
	}
	for _, id := range identities {
		if id.service != service {
			continue
		}
		if id.cert == nil {
			return s.restRefusal(n, http.StatusNotFound, "no certificate for service "+service)
		}
		return s.plain(http.StatusOK, "text/plain;charset=UTF-8", chainText(id.cert))
	}
	return s.restRefusal(n, http.StatusBadRequest, "service is not one of "+strings.Join(restServices(n), ", "))
}

// restTrustStore answers in either of the two forms that were seen, and in one
// more that a client should survive: many certificates in one text.
func (s *Sim) restTrustStore(n *node, service string) *answer {
	if !contains(restStores(n), service) {
		return s.restRefusal(n, http.StatusBadRequest, "service is not one of "+strings.Join(restStores(n), ", "))
	}
	list := []restFile{}
	store := s.trust(n, storeOf(service))
	for _, cert := range store.list() {
		list = append(list, restFile{Certificate: pemText(cert)})
	}
	for range store.empty {
		list = append(list, restFile{})
	}
	switch n.role {
	case roleSubscriber:
		return s.json(http.StatusOK, list)
	case roleCUCM:
		var all strings.Builder
		for _, one := range list {
			all.WriteString(one.Certificate)
		}
		list = []restFile{{Certificate: all.String()}}
	}
	return s.json(http.StatusOK, map[string]any{"certificates": list})
}

// restAddTrust carries out POST /trust/certificates: all of it or nothing.
func (s *Sim) restAddTrust(n *node, body []byte, now time.Time) *answer {
	refuse := func(format string, args ...any) *answer {
		return s.restRefusal(n, http.StatusBadRequest, fmt.Sprintf(format, args...))
	}
	var in struct {
		Service      []string `json:"service"`
		Certificates []string `json:"certificates"`
		Description  string   `json:"description"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return refuse("the request is not understood: %v", err)
	}
	if len(in.Service) == 0 || len(in.Certificates) == 0 {
		return refuse("service and certificates are lists with at least one member")
	}
	var certs []*x509.Certificate
	for i, text := range in.Certificates {
		read, err := pemCertificates(text)
		if err != nil {
			return refuse("certificate %d: %v", i+1, err)
		}
		certs = append(certs, read...)
	}
	for _, service := range in.Service {
		if !contains(restStores(n), service) {
			return refuse("service %q is not one of %s", service, strings.Join(restStores(n), ", "))
		}
		if err := s.trust(n, storeOf(service)).complete(certs); err != nil {
			return refuse("certificate chain is incomplete: %v", err)
		}
	}
	c := n.cluster
	added := 0
	for _, service := range in.Service {
		added += s.trustHere(n, storeOf(service), now, certs...)
	}
	for _, cert := range certs {
		// A person's hand, not ICSA's: what a scenario had taken out is back.
		delete(c.distrusted, fingerprint(cert))
	}
	c.writes++
	s.log("%s: %d of %d certificates added by certificate management: %s", n.name, added, len(certs), in.Description)
	const done = "Certificate upload operation successful"
	switch n.role {
	case rolePublisher:
		return s.json(http.StatusCreated, map[string]any{"messages": []string{done}})
	case roleSubscriber:
		return s.json(http.StatusOK, map[string]any{"message": done})
	}
	return s.plain(http.StatusOK, contentJSON, "")
}

// restRefusal is an error body in one of the two forms that were seen.
func (s *Sim) restRefusal(n *node, status int, message string) *answer {
	if n.role == roleSubscriber {
		return s.json(status, map[string]any{"messages": []string{message}})
	}
	return s.json(status, map[string]any{"message": message})
}

func (s *Sim) json(status int, body any) *answer {
	raw, err := json.Marshal(body)
	if err != nil { // texts and lists of them always marshal
		s.log("SIMULATOR FAULT: writing JSON: %v", err)
		status, raw = http.StatusInternalServerError, nil
	}
	return s.plain(status, contentJSON, string(raw))
}

// chainText is an identity with the CAs that the node keeps with it.
func chainText(cert *tls.Certificate) string {
	text := pemText(cert.Leaf)
	for _, ca := range above(cert) {
		text += pemText(ca)
	}
	return text
}

func pemText(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

func pemCertificates(text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		block, after := pem.Decode(rest)
		if block == nil {
			if strings.TrimSpace(string(rest)) != "" || out == nil {
				return nil, errors.New("not PEM")
			}
			return out, nil
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, errors.New("not a certificate")
		}
		out, rest = append(out, cert), after
	}
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}
