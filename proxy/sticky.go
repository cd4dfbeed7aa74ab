package proxy

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/dockerlb/dockerlb/topology"
)

// hash fills what hashing policies and stickiness look at.
func (ex *exchange) hash() {
	ex.newCookie = nil
	for i := range ex.route.Spec.Hash {
		src := &ex.route.Spec.Hash[i]
		h, ok := ex.hashOf(src)
		if !ok {
			continue
		}
		// Envoy combines several in order.
		if ex.q.HasHash {
			ex.q.Hash = bits.RotateLeft64(ex.q.Hash, 1) ^ h
		} else {
			ex.q.Hash, ex.q.HasHash = h, true
		}
		if src.Terminal {
			break
		}
	}
	if !ex.hasCookie() {
		return
	}
	v := ex.srv.b.View()
	for i := range ex.route.Spec.Clusters {
		c := v.Cluster(ex.route.Spec.Clusters[i].Name)
		if c == nil || c.Spec().Sticky == "" {
			continue
		}
		if value, ok := ex.cookie(c.Spec().Sticky); ok {
			ex.q.Sticky = value
			return
		}
	}
}

func (ex *exchange) hashOf(s *topology.HashSource) (uint64, bool) {
	switch s.Kind {
	case "source_ip":
		a := ex.rec.Client.As16()
		return xxhash.Sum64(a[:]), true
	case "header":
		v, ok := ex.Header(s.Name)
		if !ok {
			return 0, false
		}
		return xxhash.Sum64String(v), true
	case "query":
		v, ok := queryValue(ex.req.query, s.Name)
		if !ok {
			return 0, false
		}
		return xxhash.Sum64(v), true
	case "cookie":
		if v, ok := ex.cookie(s.Name); ok {
			return xxhash.Sum64(v), true
		}
		if s.TTL <= 0 {
			return 0, false
		}
		// Envoy: generated where the client has none, and given to it.
		value := strconv.AppendUint(nil, rand.Uint64(), 16)
		ex.newCookie = appendCookie(nil, s.Name, value, s.Path, s.TTL)
		return xxhash.Sum64(value), true
	}
	return 0, false
}

func (ex *exchange) hasCookie() bool {
	for i := range ex.req.fields {
		if ex.req.fields[i].id == fieldCookie {
			return true
		}
	}
	return false
}

// cookie finds a cookie of the request (RFC 6265 section 4.2.1).
func (ex *exchange) cookie(name string) ([]byte, bool) {
	for i := range ex.req.fields {
		f := &ex.req.fields[i]
		if f.id != fieldCookie {
			continue
		}
		for rest := ex.req.value(f); len(rest) > 0; {
			var one []byte
			one, rest, _ = bytes.Cut(rest, semicolon)
			k, v, ok := bytes.Cut(trimOWS(one), equals)
			if ok && string(k) == name {
				if n := len(v); n >= 2 && v[0] == '"' && v[n-1] == '"' {
					v = v[1 : n-1]
				}
				return v, true
			}
		}
	}
	return nil, false
}

var semicolon, equals, ampersand = []byte(";"), []byte("="), []byte("&")

func queryValue(query []byte, name string) ([]byte, bool) {
	for len(query) > 0 {
		var one []byte
		one, query, _ = bytes.Cut(query, ampersand)
		k, v, _ := bytes.Cut(one, equals)
		if string(k) == name {
			return v, true
		}
	}
	return nil, false
}

// setCookies gives the client what leads it back to the endpoint.
func (ex *exchange) setCookies() {
	if ex.lease.SetSticky {
		value := []byte(ex.lease.Endpoint.StickyValue())
		ex.addResp = append(ex.addResp, pair{"set-cookie", appendCookie(nil, ex.lease.Cluster.Spec().Sticky, value, "/", 0)})
	}
	if ex.newCookie != nil {
		ex.addResp = append(ex.addResp, pair{"set-cookie", ex.newCookie})
	}
}

func appendCookie(b []byte, name string, value []byte, path string, ttl time.Duration) []byte {
	b = append(append(append(b, name...), '='), value...)
	if ttl > 0 {
		b = strconv.AppendInt(append(b, "; Max-Age="...), int64(ttl/time.Second), 10)
	}
	if path != "" {
		b = append(append(b, "; Path="...), path...)
	}
	return append(b, "; HttpOnly"...)
}
