package admin

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"time"

	"github.com/dockerlb/dockerlb/balancer"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// pageData is what page.html shows.
type pageData struct {
	Version   string
	Uptime    time.Duration
	Clusters  []balancer.ClusterStatus
	Listeners []Listener
	Endpoints []endpointLink
	Status
}

type endpointLink struct {
	Path, Help string
	Post       bool
}

// page is the plain page of links, with how things stand. It has no script and
// asks for nothing else.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	snap := s.o.Balancer.Snapshot()
	data := pageData{
		Version:  s.o.Version.Version,
		Uptime:   time.Since(s.o.Start).Truncate(time.Second),
		Clusters: snap.Clusters,
		Status:   s.status(),
	}
	bound := s.boundAddresses()
	for _, l := range snap.Listeners {
		data.Listeners = append(data.Listeners, Listener{Name: l.Name, Address: addressOf(l, bound).String(), Routes: l.Routes})
	}
	for _, e := range s.endpoints {
		if e.path != "/" {
			data.Endpoints = append(data.Endpoints, endpointLink{e.path, e.help, e.post})
		}
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, data); err != nil {
		s.fail(w, http.StatusInternalServerError, err.Error()+"\n")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=UTF-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	w.Write(b.Bytes())
}
