package yamlfile

// Kind is what a YAML value is.
type Kind int

const (
	Nothing Kind = iota // null, a key without a value, or a value that is not there
	Text
	Number
	Boolean
	List
	Mapping
	refused // already reported
)

func (k Kind) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "a mapping", "refused"}[k]
}

// node is a YAML value with its place; aliases are resolved.
type node struct {
	kind         Kind
	line, column int
	text         string // of a scalar: text decoded, numbers and booleans as written
	entries      []entry
	items        []*node
	size         int // nodes in it, capped at maxNodes+1
}

type entry struct {
	name         string
	line, column int
	value        *node
}
