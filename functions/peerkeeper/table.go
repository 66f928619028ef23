package main

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"peerkeeper/shared/operator"
	"peerkeeper/shared/store"
	"peerkeeper/shared/store/dynamo"
)

// kept are the flags of those verbs that ask what is known, or add to it: it is
// known in a file, or in the table of the functions.
type kept struct {
	files
	Table string `help:"The DynamoDB table of the functions, instead of a state file. Region and credentials are found as the aws command finds them." env:"PEERKEEPER_TABLE" placeholder:"NAME"`
}

// known opens a mesh whose state must exist already.
func (k kept) known(ctx context.Context) (*watched, error) {
	if k.Table == "" {
		return k.files.known()
	}
	return k.open(ctx)
}

// decides is a person at a known mesh, who decides.
func (k kept) decides(ctx context.Context) (*watched, *operator.Operator, error) {
	w, err := k.known(ctx)
	if err != nil {
		return nil, nil, err
	}
	o := w.operator()
	o.Actor, err = actor()
	return w, o, err
}

// open opens a mesh. A table is never made here: infra makes it.
func (k kept) open(ctx context.Context) (*watched, error) {
	if k.Table == "" {
		return k.files.open()
	}
	w, err := k.mesh()
	if err != nil {
		return nil, err
	}
	s, err := table(ctx, k.Table, w.Name)
	if err != nil {
		return nil, err
	}
	s.Now = w.clock.Now
	w.store = s
	return w, nil
}

// tableWithin bounds the first look at a table, credentials included: a machine
// without any asks an address that only answers inside EC2.
const tableWithin = 20 * time.Second

// table opens a mesh's DynamoDB table. It is looked into at once, so that a
// mistyped name, another region or a missing right is told as what it is.
func table(ctx context.Context, name, mesh string) (*dynamo.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, tableWithin)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{})) // stderr is for our own lines
	if err != nil {
		return nil, usagef("the AWS configuration cannot be read: %w", err)
	}
	if cfg.Region == "" {
		return nil, usagef("in which region is table %s? set AWS_REGION, or a region in your AWS profile", name)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, usagef("there are no AWS credentials: log in with the aws command, or set AWS_PROFILE: %w", err)
	}
	s := dynamo.New(dynamo.NewClient(cfg), name)
	// The gate: one small item that every person may read.
	if _, err := s.Get(ctx, store.Gate(mesh)); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, usage{err}
	}
	return s, nil
}
