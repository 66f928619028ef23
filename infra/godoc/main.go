// Godoc is a program that no longer exists.
package main

func main() {}
