package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"peerkeeper/shared/axl"
	"peerkeeper/shared/controlcenter"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/peer"
	"peerkeeper/shared/secret"
	"peerkeeper/shared/soap"
)

// ServiceController is one cluster opened with the write account. Only
// shared/repair holds one.
type ServiceController struct {
	client *Client
}

// ServiceController opens the services of a cluster, in the same way as Open gives
// its client.
func (c *Connector) ServiceController(ctx context.Context, cl *mesh.Cluster, guard secret.Guard, pins map[mesh.NodeName][]string) (*ServiceController, error) {
	login, err := logIn(ctx, c.Secrets, cl, mesh.WriteAccount, guard)
	if err != nil {
		return nil, err
	}
	trust, all, err := trustOf(cl, pins)
	if err != nil {
		return nil, &Refused{peer.ServerCertificateUntrusted, err.Error(), err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if had := c.controllers[cl.ID]; had != nil && had.client.takes(login, all) {
		return had, nil
	}
	if c.controllers == nil {
		c.controllers = map[mesh.ClusterID]*ServiceController{}
	}
	if had := c.controllers[cl.ID]; had != nil {
		had.client.Close()
	}
	client := c.build(cl, mesh.WriteAccount, login, trust)
	client.pins = all
	c.controllers[cl.ID] = &ServiceController{client: client}
	return c.controllers[cl.ID], nil
}

func (s *ServiceController) node(name mesh.NodeName) (*node, error) {
	n, ok := s.client.nodes[name]
	if !ok {
		return nil, fmt.Errorf("%s is no node of %s", name, s.client.cluster.ID)
	}
	return n, nil
}

// Service reads one service on one node, now.
func (s *ServiceController) Service(ctx context.Context, name mesh.NodeName, service string) (peer.Service, error) {
	n, err := s.node(name)
	if err != nil {
		return peer.Service{}, err
	}
	got, err := n.control.Services(ctx, service)
	if err != nil {
		return peer.Service{}, err
	}
	for _, listed := range got {
		if listed.Name == service {
			return serviceOf(listed), nil
		}
	}
	return peer.Service{}, fmt.Errorf("%s does not list %s", name, service)
}

// Control starts or restarts a service on the node itself. It is sent at most
// once.
func (s *ServiceController) Control(ctx context.Context, name mesh.NodeName, action peer.Action, service string) error {
	n, err := s.node(name)
	if err != nil {
		return err
	}
	what := controlcenter.Restart
	switch action {
	case peer.StartService:
		what = controlcenter.Start
	case peer.RestartService:
	default:
		return fmt.Errorf("%s is nothing that Control Center does", action)
	}
	return n.control.Control(ctx, string(name), what, service)
}

// Activate activates a feature service on the node itself, which then starts it. It
// is sent at most once.
func (s *ServiceController) Activate(ctx context.Context, name mesh.NodeName, service string) error {
	n, err := s.node(name)
	if err != nil {
		return err
	}
	return n.control.Activate(ctx, string(name), service)
}

// Parameter reads a service parameter on a node and how many match its name.
func (s *ServiceController) Parameter(ctx context.Context, name mesh.NodeName, service, parameter string) (string, int, error) {
	return s.client.Parameter(ctx, name, service, parameter)
}

// SetParameter sets a service parameter on a node. It is sent at most once.
func (s *ServiceController) SetParameter(ctx context.Context, name mesh.NodeName, service, parameter, value string) error {
	return s.client.publisher().axl.SetServiceParameter(ctx, string(name), service, parameter, value)
}

// Refused says whether a write with this error reached the node, and the node
// said no.
func (s *ServiceController) Refused(err error) bool {
	var refused *controlcenter.RefusedError
	var activate *controlcenter.ActivateFirstError
	var key *axl.KeyError
	if errors.As(err, &refused) || errors.As(err, &activate) || errors.As(err, &key) {
		return true
	}
	switch soap.KindOf(err) {
	case soap.AccountRejected, soap.Forbidden, soap.Fault, soap.NotFound, soap.VersionRefused:
		return true
	}
	return false
}

// Uncertain says whether a write with this error may have happened. Whatever is
// not known to be a refusal may have.
func (s *ServiceController) Uncertain(err error) bool {
	if err == nil || s.Refused(err) {
		return false
	}
	var e *soap.Error
	return !errors.As(err, &e) || e.Kind == soap.OutcomeUnknown
}

// Parameter reads a service parameter on a node and how many match its name.
func (c *Client) Parameter(ctx context.Context, name mesh.NodeName, service, parameter string) (string, int, error) {
	all, err := c.publisher().axl.ServiceParameters(ctx, string(name), service)
	if err != nil {
		return "", 0, err
	}
	value, matches := "", 0
	for _, p := range all {
		if strings.EqualFold(p.Name, parameter) && strings.EqualFold(p.Node, string(name)) {
			value = p.Value
			matches++
		}
	}
	return value, matches, nil
}
