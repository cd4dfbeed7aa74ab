package balancer

// rotation is round robin over equal weights: an index, in strict alternation
// over all requests of the process.
type rotation struct {
	list []*Endpoint
	at   *cursor
}

func (r *rotation) pick(q *Request) *Endpoint {
	i := (r.at.next.Add(1) - 1) % uint64(len(r.list))
	return untried(r.list, int(i), q)
}
