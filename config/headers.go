package config

import (
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/dockerlb/dockerlb/topology"
)

// changes are the four fields that a route configuration, a virtual host, a
// route and a weighted cluster have alike.
type changes interface {
	GetRequestHeadersToAdd() []*core.HeaderValueOption
	GetRequestHeadersToRemove() []string
	GetResponseHeadersToAdd() []*core.HeaderValueOption
	GetResponseHeadersToRemove() []string
}

func (c *converter) headers(m changes, at string) (requests, answers topology.HeaderMutation) {
	return c.mutation(m.GetRequestHeadersToAdd(), m.GetRequestHeadersToRemove(), at, "request_headers_to_add", "request_headers_to_remove"),
		c.mutation(m.GetResponseHeadersToAdd(), m.GetResponseHeadersToRemove(), at, "response_headers_to_add", "response_headers_to_remove")
}

func (c *converter) mutation(add []*core.HeaderValueOption, remove []string, at, adds, removes string) topology.HeaderMutation {
	var m topology.HeaderMutation
	for i, name := range remove {
		if c.mutable(name, index(at, removes, i)) {
			m.Remove = append(m.Remove, strings.ToLower(name))
		}
	}
	for i, h := range add {
		here := index(at, adds, i)
		if h.GetHeader() == nil {
			continue // a rule says so
		}
		if !c.mutable(h.GetHeader().GetKey(), here+".header.key") {
			continue
		}
		v := topology.HeaderValue{Name: strings.ToLower(h.GetHeader().GetKey())}
		v.Value = c.plain(h.GetHeader().GetValue(), here+".header.value")
		switch h.GetAppendAction() {
		case core.HeaderValueOption_ADD_IF_ABSENT:
			v.Action = topology.AddIfAbsent
		case core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
			v.Action = topology.OverwriteOrAdd
		case core.HeaderValueOption_OVERWRITE_IF_EXISTS:
			v.Action = topology.OverwriteIfExists
		}
		//lint:ignore SA1019 files in use have it
		if a := h.GetAppend(); a != nil {
			if c.given(here + ".append_action") {
				c.fail(here+".append", "not together with append_action")
			}
			if !a.GetValue() {
				v.Action = topology.OverwriteOrAdd
			}
		}
		if v.Value == "" && !h.GetKeepEmptyValue() {
			continue // as Envoy
		}
		m.Add = append(m.Add, v)
	}
	return m
}

// connectionHeaders frame the message or hold the connection: they are the
// proxy's alone.
var connectionHeaders = []string{
	"connection", "content-length", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade",
}

// mutable reports names that cannot be changed: Envoy's, and ours.
func (c *converter) mutable(name, at string) bool {
	name = strings.ToLower(name)
	switch {
	case name == "":
		return false // a rule says so
	case name[0] == ':' || name == "host":
		c.fail(at, "a header that begins with a colon, or host, cannot be changed: host_rewrite_literal changes the host")
	case slices.Contains(connectionHeaders, name):
		c.fail(at, "%s is of the connection, and cannot be changed", name)
	default:
		return true
	}
	return false
}

// plain is a header's value without Envoy's substitutions, of which there are
// none: %% is a percent sign.
func (c *converter) plain(value, at string) string {
	if !strings.Contains(value, "%") {
		return value
	}
	for i, part := range strings.Split(strings.ReplaceAll(value, "%%", ""), "%") {
		if i%2 == 1 {
			c.fail(at, "%%%s%%: substitutions are not supported; %%%% is a percent sign", part)
			return ""
		}
	}
	return strings.ReplaceAll(value, "%%", "%")
}

func none(m topology.HeaderMutation) bool { return len(m.Remove) == 0 && len(m.Add) == 0 }

// inOrder is one mutation for several that follow each other: what a later one
// removes, an earlier one need not add.
func inOrder(all ...topology.HeaderMutation) topology.HeaderMutation {
	var out topology.HeaderMutation
	for _, m := range all {
		out.Add = slices.DeleteFunc(out.Add, func(v topology.HeaderValue) bool { return slices.Contains(m.Remove, v.Name) })
		for _, name := range m.Remove {
			if !slices.Contains(out.Remove, name) {
				out.Remove = append(out.Remove, name)
			}
		}
		out.Add = append(out.Add, m.Add...)
	}
	if len(out.Add) == 0 {
		out.Add = nil
	}
	return out
}
