// Package archtest holds the rules of the code base as tests: who may import
// whom and why, what a package may be called, and the habits that stop a review.
//
// It owns no code that anything else runs. A rule it does not state is not a
// rule; one it states is proven, in its own tests, to catch an offender.
package archtest
