// A stand-in for a program that no longer exists and that jsii-runtime-go imports behind a build tag: without it go mod tidy ends with
// an error. Nothing builds it.
module golang.org/x/tools/cmd/godoc

go 1.26.0
