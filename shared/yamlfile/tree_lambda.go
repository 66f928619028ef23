//go:build lambda.norpc

package yamlfile

// A Lambda reads mesh.json, which was made of a checked mesh.yaml when it was
// built, and has no use for a YAML reader. The tag is the one that every
// Lambda is built with (aws-lambda-go); anything else keeps the reader.

func (f Format) tree(rep *Report, file string, _ []byte) (*node, bool) {
	rep.errs = append(rep.errs, &Error{File: file, Message: "this program reads no YAML", Cure: "write " + f.Holds + ".json from it with `make build`"})
	return nil, false
}
