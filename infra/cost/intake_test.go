package cost

import "testing"

// What nodes push is in the bill where it is taken: its metrics, and little else.
func TestIntakeIsInTheBill(t *testing.T) {
	with := template()
	with.Resources["Intake"] = Resource{"AWS::Lambda::Function", map[string]any{"MemorySize": 256.0}}
	total := func(b Bill) (usd float64) {
		for _, l := range b.Lines {
			usd += l.USD
		}
		return usd
	}
	for clusters, most := range map[int]float64{3: 2, 30: 2.5} {
		before, after := bill(t, template(), "eu-central-1", clusters), bill(t, with, "eu-central-1", clusters)
		more, metrics := total(after)-total(before), after.usd(MetricMonth)-before.usd(MetricMonth)
		t.Logf("%d clusters: %.2f USD more, %.2f of it for metrics", clusters, more, metrics)
		if metrics <= 0 || more <= metrics || more > most {
			t.Errorf("%d clusters: %.2f USD more, %.2f of it for metrics", clusters, more, metrics)
		}
		if after.usd(DynamoWrite) <= before.usd(DynamoWrite) || after.usd(LambdaRequest) <= before.usd(LambdaRequest) {
			t.Errorf("%d clusters: requests or writes are missing", clusters)
		}
	}
}
