package balancer

// CheckEvent is what CountCheck is told. The values are health's.
type CheckEvent uint8

const (
	CheckAttempt CheckEvent = iota
	CheckSuccess
	CheckFailure // any, CheckNetworkFailure too
	CheckNetworkFailure
)

// CountCheck counts an active check for the cluster's health_check.* counters.
// Any goroutine.
func (b *Balancer) CountCheck(cluster string, e CheckEvent) {
	c := b.View().Cluster(cluster)
	if c == nil {
		return
	}
	switch e {
	case CheckAttempt:
		c.count.checks.Add(1)
	case CheckSuccess:
		c.count.checkSuccess.Add(1)
	case CheckFailure:
		c.count.checkFailure.Add(1)
	case CheckNetworkFailure:
		c.count.checkNet.Add(1)
	}
}

// HadTraffic tells whether the cluster has ever opened a connection: until
// then Envoy checks it at its no_traffic_interval.
func (b *Balancer) HadTraffic(cluster string) bool {
	c := b.View().Cluster(cluster)
	return c != nil && c.traffic.Load()
}
