package main

import (
	"context"
	"errors"

	"peerkeeper/shared/dashboard"
)

type matrixVerb struct{ kept }

// Help is what peerkeeper matrix --help teaches.
func (matrixVerb) Help() string {
	return `Shows every directed peer in one square: the row pulls users from the column. Thirty clusters fit 120 columns.
It never contacts a cluster and changes nothing. Exit 1 as status does.

Examples:

  peerkeeper matrix
  peerkeeper matrix --json     # {clusters, cells: [[state or null]]}`
}

// Run shows the matrix.
func (m *matrixVerb) Run(ctx context.Context, t *terminal) error {
	st, err := statusOf(ctx, m.kept)
	if err != nil {
		return err
	}
	if t.json {
		err = t.answer(st.Matrix())
	} else {
		err = dashboard.WriteMatrix(t.stdout, st, t.color)
	}
	return errors.Join(err, verdict(st))
}
