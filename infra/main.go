// Infra is the CDK app: it synthesises the stack of one environment. Beside
// that it prints what can be known without an account: the template, the bill,
// and who may do what.
//
//	go run ./infra                     what the CDK command runs, with -c env=ENV
//	go run ./infra template -env ENV   the template, with a stand-in for the code
//	go run ./infra cost -env ENV       the month's bill
//	go run ./infra iam                 who may do what
//	go run ./infra deployer -env ENV   the policies for CloudFormation's role, as files
package main

import (
	"cmp"
	"debug/elf"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"peerkeeper/infra/cost"
	"peerkeeper/infra/environment"
	"peerkeeper/infra/stack"
	"peerkeeper/shared/mesh"
	"peerkeeper/shared/mesh/meshfile"
)

func main() {
	if err := command(os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

func command(args []string, out io.Writer) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("infra "+verb, flag.ContinueOnError)
	dir := flags.String("dir", "infra/environments", "where the environments' files are")
	name := flags.String("env", "", "environment, such as dev")
	clusters := flags.Int("clusters", 0, "reckon with so many clusters instead of the mesh's own")
	to := flags.String("to", "dist", "where the policies are written (deployer)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch verb {
	case "":
		return inNode(func() error { return deployable(*dir) })
	case "iam":
		_, err := io.WriteString(out, stack.Markdown(stack.Matrix()))
		return err
	case "template", "cost", "deployer":
		env, err := environment.Load(*dir, *name)
		if err != nil {
			return err
		}
		if verb == "deployer" {
			return deployer(out, env, *to)
		}
		if *clusters > 0 {
			cost.Resize(env.Mesh, *clusters)
		}
		var template []byte
		err = inNode(func() (err error) {
			template, err = synthesised(env)
			return err
		})
		if err != nil {
			return err
		}
		if verb == "template" {
			_, err = out.Write(template)
			return err
		}
		return bill(out, env, template)
	}
	return fmt.Errorf("no verb %q: want template, cost, iam or deployer; the CDK command is what synthesises (make synth ENV=dev)", verb)
}

// deployer writes the policies for CloudFormation's role, and says where to.
func deployer(out io.Writer, env *environment.Environment, to string) error {
	network, rest, err := stack.Deployer(env)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("writing the deployer's policies: %w", err)
	}
	for _, part := range []struct {
		name string
		data []byte
	}{{"network", network}, {"rest", rest}} {
		path := filepath.Join(to, fmt.Sprintf("%s-deploy-%s.json", stack.Name(env.Name), part.name))
		if err := os.WriteFile(path, part.data, 0o644); err != nil {
			return fmt.Errorf("writing the deployer's policies: %w", err)
		}
		if _, err := fmt.Fprintln(out, path); err != nil {
			return fmt.Errorf("writing the deployer's policies: %w", err)
		}
	}
	return nil
}

// deployable synthesises for the CDK command, which says where to.
func deployable(dir string) error {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	name, ok := app.Node().TryGetContext(jsii.String("env")).(string)
	if !ok {
		return errors.New("which environment? make synth ENV=dev, or cdk synth -c env=dev")
	}
	env, err := environment.Load(dir, name)
	if err != nil {
		return err
	}
	staged, err := os.MkdirTemp("", "peerkeeper")
	if err != nil {
		return fmt.Errorf("staging the functions: %w", err)
	}
	defer os.RemoveAll(staged)
	for _, f := range stack.Functions() {
		if err := stage(filepath.Join("dist", f.Name), filepath.Join(staged, f.Name), env.Mesh); err != nil {
			return err
		}
	}
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(nil), nil) // a finding is an error of the synthesis
	stack.New(app, stack.Name(env.Name), stack.Props{Environment: env, Code: func(function string) awslambda.Code {
		return awslambda.Code_FromAsset(jsii.String(filepath.Join(staged, function)), nil)
	}})
	app.Synth(nil)
	return nil
}

// stage puts a built function and this environment's mesh into one folder. The
// mesh.json that make build left in dist may be another environment's.
func stage(from, to string, m *mesh.Mesh) error {
	bootstrap := filepath.Join(from, "bootstrap")
	program, err := elf.Open(bootstrap)
	if err != nil {
		return fmt.Errorf("%s is not built, run make build: %w", bootstrap, err)
	}
	machine := program.Machine
	if err := program.Close(); err != nil {
		return fmt.Errorf("reading %s: %w", bootstrap, err)
	}
	if machine != elf.EM_AARCH64 {
		return fmt.Errorf("%s is built for %s and the functions run on arm64: run make build without GOARCH", bootstrap, machine)
	}
	data, err := os.ReadFile(bootstrap)
	if err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	if err := os.WriteFile(filepath.Join(to, "bootstrap"), data, 0o755); err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	f, err := os.Create(filepath.Join(to, "mesh.json"))
	if err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	return errors.Join(meshfile.WriteJSON(f, m), f.Close())
}

// inNode does what the CDK is needed for. The CDK is JavaScript, run by Node in a
// process of its own (jsii); what goes wrong there arrives as a panic, and is told
// as what it is.
func inNode(do func() error) (err error) {
	// As jsii looks for it.
	if _, err := exec.LookPath(cmp.Or(os.Getenv("JSII_NODE"), "node")); err != nil && os.Getenv("JSII_RUNTIME") == "" {
		return fmt.Errorf("the CDK runs in Node, which is not there (%w): install Node 20 or later, https://nodejs.org, and see that `node --version` answers", err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the CDK's Node process failed: %v; `node --version` must answer 20 or later", p)
		}
	}()
	return do()
}

// synthesised is the template of an environment with a stand-in for the
// functions' code.
func synthesised(env *environment.Environment) ([]byte, error) {
	defer jsii.Close()
	dir, err := os.MkdirTemp("", "peerkeeper")
	if err != nil {
		return nil, fmt.Errorf("synthesising: %w", err)
	}
	defer os.RemoveAll(dir)
	code := filepath.Join(dir, "code")
	if err := os.Mkdir(code, 0o755); err != nil {
		return nil, fmt.Errorf("synthesising: %w", err)
	}
	if err := os.WriteFile(filepath.Join(code, "bootstrap"), []byte("not a program"), 0o644); err != nil {
		return nil, fmt.Errorf("synthesising: %w", err)
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(filepath.Join(dir, "out")), AnalyticsReporting: jsii.Bool(false)})
	stack.New(app, stack.Name(env.Name), stack.Props{Environment: env, Code: func(string) awslambda.Code {
		return awslambda.Code_FromAsset(jsii.String(code), nil)
	}})
	app.Synth(nil)
	data, err := os.ReadFile(filepath.Join(dir, "out", stack.Name(env.Name)+".template.json"))
	if err != nil {
		return nil, fmt.Errorf("synthesising: %w", err)
	}
	return data, nil
}

func bill(out io.Writer, env *environment.Environment, template []byte) error {
	var t cost.Template
	if err := json.Unmarshal(template, &t); err != nil {
		return fmt.Errorf("reading the template: %w", err)
	}
	b, err := cost.Of(t, env.Region, len(env.Mesh.Clusters))
	if err != nil {
		return err
	}
	return b.Write(out)
}
