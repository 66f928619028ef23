package stack

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"peerkeeper/shared/metric"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// dashboard shows whether the functions do their work; how the peers are is the
// page's and `peerkeeper status`'s to show.
func (b *builder) dashboard() {
	var widgets []any
	graph := func(title, statistic string, metrics []any) {
		at := len(widgets)
		widgets = append(widgets, object{
			"type": "metric", "x": at % 2 * 12, "y": at / 2 * 6, "width": 12, "height": 6,
			"properties": object{"title": title, "region": b.env.Region, "view": "timeSeries", "stacked": false, "stat": statistic, "period": 300, "metrics": metrics},
		})
	}
	ours := func(name string) []any {
		var out []any
		for _, f := range deployed(b.env) {
			out = append(out, []any{metric.Namespace, name, "mesh", b.env.Mesh.Name, "function", f.Name, object{"label": f.Name}})
		}
		return out
	}
	lambda := func(name string) []any {
		var out []any
		for _, f := range deployed(b.env) {
			out = append(out, []any{"AWS/Lambda", name, "FunctionName", b.name(f.Name), object{"label": f.Name}})
		}
		return out
	}
	graph("Runs completed", "Sum", ours(metric.RunCompleted))
	graph("How long a run takes (ms)", "Maximum", ours(metric.DurationMs))
	graph("Clusters that did not answer", "Maximum", ours(metric.ClustersUnreachable))
	graph("Peers that are not healthy", "Maximum", ours(metric.PeersNotHealthy))
	graph("Errors", "Sum", lambda("Errors"))
	graph("DynamoDB units written", "Sum", ours(metric.WriteUnits))
	body, err := json.Marshal(object{"widgets": widgets})
	if err != nil {
		panic(err) // texts and numbers are always JSON
	}
	awscloudwatch.NewCfnDashboard(b.stack, jsii.String("Dashboard"), &awscloudwatch.CfnDashboardProps{
		DashboardName: jsii.String(Name(b.env.Name)), DashboardBody: jsii.String(string(body)),
	})
}
