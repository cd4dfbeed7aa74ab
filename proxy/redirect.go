package proxy

import (
	"regexp"
	"strconv"
	"sync"

	"github.com/dockerlb/dockerlb/topology"
)

// redirect answers with a Location.
func (ex *exchange) redirect(d *topology.Redirect) {
	ex.ln.counters.redirect.Add(1)
	r := &ex.req
	scheme := "http"
	if d.Scheme != "" {
		scheme = d.Scheme
	}
	host := ex.host
	if d.Host != "" {
		host = []byte(d.Host)
	}
	b := make([]byte, 0, 256)
	b = append(append(b, scheme...), "://"...)
	switch {
	case d.Port != 0:
		b = append(b, stripPort(host, true, 0)...)
		if !(scheme == "http" && d.Port == 80 || scheme == "https" && d.Port == 443) {
			b = append(b, ':')
			b = strconv.AppendUint(b, uint64(d.Port), 10)
		}
	case d.Scheme != "" && d.Host == "":
		b = append(b, stripPort(host, false, defaultPort(scheme == "https"))...)
	default:
		b = append(b, host...)
	}
	switch {
	case d.Path != "":
		b = append(b, d.Path...)
	case d.Prefix != "":
		b = append(b, replacePrefix(nil, r.path, &ex.route.Spec.Match.Path, d.Prefix)...)
	case d.Regex != "":
		if re := ex.srv.regexps.get(d.Regex); re != nil {
			b = append(b, re.ReplaceAll(r.path, []byte(d.Substitution))...)
		}
	default:
		b = append(b, r.path...)
	}
	if r.rawq && !d.StripQuery {
		b = append(append(b, '?'), r.query...)
	}
	code := d.Code
	if code == 0 {
		code = 301
	}
	ex.addResp = append(ex.addResp, pair{"location", b})
	ex.direct(code, nil, "direct_response")
}

// defaultPort is the other scheme's: a redirect from http to https drops ":80"
// of the host, and the reverse.
func defaultPort(toHTTPS bool) uint16 {
	if toHTTPS {
		return 80
	}
	return 443
}

// regexps keeps compiled substitutions by their text. There are as many as the
// routes of all tables ever had: routes come from a file or from labels, whose
// rewrites have none.
type regexps struct{ m sync.Map }

func (r *regexps) get(text string) *regexp.Regexp {
	if re, ok := r.m.Load(text); ok {
		return re.(*regexp.Regexp)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil // config has compiled it before
	}
	r.m.Store(text, re)
	return re
}
