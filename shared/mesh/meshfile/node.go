package meshfile

// kind is what a YAML value is.
type kind int

const (
	nothing kind = iota // null, or a key without a value
	text
	number
	boolean
	list
	mapping
	refused // already reported
)

func (k kind) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "a mapping", "refused"}[k]
}

// node is a YAML value with its place; aliases are resolved.
type node struct {
	kind         kind
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
