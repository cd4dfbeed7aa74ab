package router

// request is a Request for tests.
type request struct {
	host, path, query, method string
	headers                   map[string]string
}

func (r *request) Host() string   { return r.host }
func (r *request) Path() string   { return r.path }
func (r *request) Query() string  { return r.query }
func (r *request) Method() string { return r.method }
func (r *request) Header(name string) (string, bool) {
	v, ok := r.headers[name]
	return v, ok
}
