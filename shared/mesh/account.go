package mesh

import "fmt"

// Account is a kind of account with which Peerkeeper logs in to a cluster: the
// key of mesh.yaml that names the account's secret.
type Account string

// The accounts of a cluster. Each is locked out by itself, and so held back by
// itself.
const (
	ReadAccount          Account = "credentials"      // AXL and Control Center
	WriteAccount         Account = "writeCredentials" // Control Center
	PlatformAccount      Account = "platformCredentials"
	PlatformWriteAccount Account = "platformWriteCredentials"
)

// Accounts are all kinds.
func Accounts() []Account {
	out := make([]Account, len(accounts))
	for i, a := range accounts {
		out[i] = a.account
	}
	return out
}

// accounts are the rows of the one table.
var accounts = [...]struct {
	account  Account
	words    string // what people call those of several clusters
	purpose  string
	item     string // what follows the cluster's id in the key of the item that holds it back
	writes   bool
	platform bool
	secret   func(*Cluster) *string
}{
	{ReadAccount, "read accounts", "looks", "", false, false, func(c *Cluster) *string { return &c.Credentials }},
	{WriteAccount, "write accounts", "acts", "/write", true, false, func(c *Cluster) *string { return &c.WriteCredentials }},
	{PlatformAccount, "platform accounts", "reads trust stores", "/platform", false, true, func(c *Cluster) *string { return &c.PlatformCredentials }},
	{PlatformWriteAccount, "platform write accounts", "adds to trust stores", "/platform-write", true, true, func(c *Cluster) *string { return &c.PlatformWriteCredentials }},
}

func (a Account) row() int {
	for i, r := range accounts {
		if r.account == a {
			return i
		}
	}
	panic(fmt.Sprintf("no such kind of account: %q", string(a)))
}

// String is what people call the accounts of this kind: "write accounts".
func (a Account) String() string { return accounts[a.row()].words }

// Purpose is what such an account does: "acts".
func (a Account) Purpose() string { return accounts[a.row()].purpose }

// Writes says whether such an account may change a cluster.
func (a Account) Writes() bool { return accounts[a.row()].writes }

// Platform says whether such an account is the OS administrator's, who is asked
// for at a node's platform address.
func (a Account) Platform() bool { return accounts[a.row()].platform }

// Secret is the name of a cluster's secret of this kind; "" if it has none.
func (a Account) Secret(c *Cluster) string { return *a.Of(c) }

// Of is where a cluster keeps the name of its secret of this kind.
func (a Account) Of(c *Cluster) *string { return accounts[a.row()].secret(c) }

// Item is a cluster's account in the key of the item that holds it back.
func (a Account) Item(id ClusterID) string { return string(id) + accounts[a.row()].item }
