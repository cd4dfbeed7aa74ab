package proxy

import "github.com/dockerlb/dockerlb/topology"

func (ex *exchange) retryLimit() int {
	p := &ex.route.Spec.Retry
	if len(p.On) == 0 {
		return defaultConnectRetries
	}
	return int(p.Max)
}

// defaultConnectRetries: a request that no endpoint has seen goes to another,
// also where no policy asks for it (README: the differences from Envoy).
const defaultConnectRetries = 2

func (ex *exchange) mayRetry(f *failure, p *topology.RetryPolicy, left *int) bool {
	if *left == 0 || !ex.replayed || !f.unsent {
		return false
	}
	*left--
	for i := range ex.q.Tried {
		if ex.q.Tried[i] == nil {
			ex.q.Tried[i] = ex.lease.Endpoint
			break
		}
	}
	ex.q.Refused = true
	return true
}

func (ex *exchange) dislikes() (failure, bool) { return failure{}, false }
