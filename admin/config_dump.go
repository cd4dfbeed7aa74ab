package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dockerlb/dockerlb/config"
	"github.com/dockerlb/dockerlb/topology"
)

// File is what admin needs of config.Source.
type File interface {
	Latest() (topology.Static, bool)
	Status() config.Status
}

var _ File = (*config.Source)(nil)

// configDump answers as Envoy does. What the file said is static, in
// the file's own words; what labels and flags made is dynamic, in the words that
// Envoy has for it.
func (s *Server) configDump(w http.ResponseWriter, r *http.Request) {
	names, err := nameFilter(r.Form.Get("name_regex"))
	if err != nil {
		s.fail(w, http.StatusBadRequest, fmt.Sprintf("Error while parsing name_regex from %s: %s", r.Form.Get("name_regex"), err))
		return
	}
	d, err := s.newDump(names)
	if err != nil {
		s.fail(w, http.StatusInternalServerError, err.Error()+"\n")
		return
	}
	dumps := []proto.Message{d.bootstrap(), d.clusters()}
	if r.Form.Has("include_eds") {
		dumps = append(dumps, d.endpoints())
	}
	dumps = append(dumps, d.listeners(), d.routes())

	out := &adminv3.ConfigDump{}
	resource, mask := r.Form.Get("resource"), r.Form.Get("mask")
	if resource == "" {
		for _, m := range dumps {
			if mask == "" || trim(m.ProtoReflect(), maskOf(mask)) {
				out.Configs = append(out.Configs, packed(m))
			}
		}
		s.writeProto(w, out, false)
		return
	}
	list, code, text := resourceOf(dumps, resource)
	if code != 0 {
		s.fail(w, code, text)
		return
	}
	for i := range list.Len() {
		m := list.Get(i).Message()
		if mask != "" && !trim(m, maskOf(mask)) {
			s.fail(w, http.StatusBadRequest, fmt.Sprintf("FieldMask %s could not be successfully used.", mask))
			return
		}
		out.Configs = append(out.Configs, packed(m.Interface()))
	}
	s.writeProto(w, out, false)
}

// resourceOf finds the repeated field of that name.
func resourceOf(dumps []proto.Message, name string) (list protoreflect.List, code int, text string) {
	for _, m := range dumps {
		f := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
		switch {
		case f == nil:
			continue
		case !f.IsList():
			return nil, http.StatusBadRequest, fmt.Sprintf("%s is not a repeated field. Use ?mask=%s to get only this field", name, name)
		}
		return m.ProtoReflect().Get(f).List(), 0, ""
	}
	return nil, http.StatusNotFound, name + " not found in config dump"
}

// nameFilter is name_regex: RE2, the whole name. Empty: every name.
func nameFilter(text string) (func(string) bool, error) {
	if text == "" {
		return func(string) bool { return true }, nil
	}
	re, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return nil, err
	}
	return re.MatchString, nil
}

// dump is one answer in the making: the file and the table of one moment.
type dump struct {
	table   *topology.Table
	file    *bootstrapv3.Bootstrap
	updated *timestamppb.Timestamp // of the file, or the start
	built   *timestamppb.Timestamp // of the table
	version string
	names   func(string) bool
}

func (s *Server) newDump(names func(string) bool) (*dump, error) {
	d := &dump{names: names, updated: timestamppb.New(s.o.Start), table: &topology.Table{}}
	if t := s.o.Table(); t != nil {
		d.table = t
	}
	d.built = d.updated
	if !d.table.At.IsZero() {
		d.built = timestamppb.New(d.table.At)
	}
	d.version = strconv.FormatUint(d.table.Generation, 10)
	if s.o.File == nil {
		d.file = config.Bootstrap(&topology.Static{Admin: s.Addr()})
		return d, nil
	}
	static, _ := s.o.File.Latest()
	d.file, d.updated = new(bootstrapv3.Bootstrap), timestamppb.New(static.LoadedAt)
	if err := protojson.Unmarshal(static.Bootstrap, d.file); err != nil {
		return nil, fmt.Errorf("the bootstrap in force: %w", err)
	}
	return d, nil
}

func (d *dump) bootstrap() proto.Message {
	return &adminv3.BootstrapConfigDump{Bootstrap: proto.CloneOf(d.file), LastUpdated: d.updated}
}

func (d *dump) clusters() proto.Message {
	out := &adminv3.ClustersConfigDump{VersionInfo: d.version}
	for _, c := range d.file.GetStaticResources().GetClusters() {
		if d.names(c.GetName()) {
			out.StaticClusters = append(out.StaticClusters, &adminv3.ClustersConfigDump_StaticCluster{Cluster: packed(c), LastUpdated: d.updated})
		}
	}
	for _, c := range d.table.Clusters {
		if c.Source != topology.FromFile && d.names(c.Name) {
			out.DynamicActiveClusters = append(out.DynamicActiveClusters, &adminv3.ClustersConfigDump_DynamicCluster{
				VersionInfo: d.version, Cluster: packed(config.Cluster(config.Labelled(c))), LastUpdated: d.built,
			})
		}
	}
	return out
}

// endpoints are those of now, addresses and not names.
func (d *dump) endpoints() proto.Message {
	out := &adminv3.EndpointsConfigDump{}
	for _, c := range d.table.Clusters {
		if !d.names(c.Name) {
			continue
		}
		a := packed(config.Assignment(config.Labelled(c)))
		if c.Source == topology.FromFile {
			out.StaticEndpointConfigs = append(out.StaticEndpointConfigs, &adminv3.EndpointsConfigDump_StaticEndpointConfig{EndpointConfig: a, LastUpdated: d.updated})
		} else {
			out.DynamicEndpointConfigs = append(out.DynamicEndpointConfigs, &adminv3.EndpointsConfigDump_DynamicEndpointConfig{VersionInfo: d.version, EndpointConfig: a, LastUpdated: d.built})
		}
	}
	return out
}

func (d *dump) listeners() proto.Message {
	out := &adminv3.ListenersConfigDump{VersionInfo: d.version}
	file := d.file.GetStaticResources().GetListeners()
	for _, l := range file {
		if d.names(l.GetName()) {
			out.StaticListeners = append(out.StaticListeners, &adminv3.ListenersConfigDump_StaticListener{Listener: packed(l), LastUpdated: d.updated})
		}
	}
	for i := range d.table.Listeners {
		l := &d.table.Listeners[i]
		if l.Source == topology.FromFile || !d.names(l.Name) {
			continue
		}
		out.DynamicListeners = append(out.DynamicListeners, &adminv3.ListenersConfigDump_DynamicListener{
			Name: valid(l.Name),
			ActiveState: &adminv3.ListenersConfigDump_DynamicListenerState{
				VersionInfo: d.version, Listener: packed(config.Listener(l)), LastUpdated: d.built,
			},
		})
	}
	return out
}

// routes are the file's, and for each listener those that labels lead to it.
func (d *dump) routes() proto.Message {
	out := &adminv3.RoutesConfigDump{}
	for _, rc := range fileRoutes(d.file) {
		if d.names(rc.GetName()) {
			out.StaticRouteConfigs = append(out.StaticRouteConfigs, &adminv3.RoutesConfigDump_StaticRouteConfig{RouteConfig: packed(rc), LastUpdated: d.updated})
		}
	}
	for i := range d.table.Listeners {
		l := &d.table.Listeners[i]
		var hosts []topology.VirtualHost
		for _, v := range l.VirtualHosts {
			if v.FallThrough { // of labels
				hosts = append(hosts, v)
			}
		}
		if name := "labels/" + l.Name; len(hosts) > 0 && d.names(name) {
			out.DynamicRouteConfigs = append(out.DynamicRouteConfigs, &adminv3.RoutesConfigDump_DynamicRouteConfig{
				VersionInfo: d.version, RouteConfig: packed(config.Routes(l, name, hosts)), LastUpdated: d.built,
			})
		}
	}
	return out
}

// fileRoutes are the route configurations that stand in the file's listeners.
func fileRoutes(b *bootstrapv3.Bootstrap) (all []*routev3.RouteConfiguration) {
	for _, l := range b.GetStaticResources().GetListeners() {
		for _, chain := range l.GetFilterChains() {
			for _, f := range chain.GetFilters() {
				m := new(hcmv3.HttpConnectionManager)
				if a := f.GetTypedConfig(); a != nil && a.UnmarshalTo(m) == nil && m.GetRouteConfig() != nil {
					all = append(all, m.GetRouteConfig())
				}
			}
		}
	}
	return all
}

// packed is m as an Any. Messages that were parsed or made here can be.
func packed(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		return &anypb.Any{}
	}
	return a
}

// mask is a FieldMask as a tree; a leaf keeps all that is below it.
type mask map[string]mask

func maskOf(text string) mask {
	root := mask{}
	for path := range strings.SplitSeq(text, ",") {
		at := root
		for name := range strings.SplitSeq(strings.TrimSpace(path), ".") {
			if at[name] == nil {
				at[name] = mask{}
			}
			at = at[name]
		}
	}
	return root
}

// trim clears what the mask does not keep; false: the mask names what the
// message has not. A mask reaches into an Any, but not through a list.
func trim(m protoreflect.Message, keep mask) bool {
	if len(keep) == 0 {
		return true
	}
	if a, ok := m.Interface().(*anypb.Any); ok {
		inner, err := a.UnmarshalNew()
		if err != nil || !trim(inner.ProtoReflect(), keep) {
			return false
		}
		proto.Reset(a)
		proto.Merge(a, packed(inner))
		return true
	}
	fields := m.Descriptor().Fields()
	for name, below := range keep {
		f := fields.ByName(protoreflect.Name(name))
		if f == nil || len(below) > 0 && (f.Message() == nil || f.IsList() || f.IsMap()) {
			return false
		}
	}
	ok := true
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		below, kept := keep[string(f.Name())]
		switch {
		case !kept:
			m.Clear(f)
		case len(below) > 0:
			ok = trim(v.Message(), below)
		}
		return ok
	})
	return ok
}

// fileStatus answers how the configuration file does, for people and alerts:
// its age, and why the file as it is now is not in force.
func (s *Server) fileStatus(w http.ResponseWriter, _ *http.Request) {
	type problem struct {
		Line   int    `json:"line,omitempty"`
		Field  string `json:"field,omitempty"`
		Reason string `json:"reason"`
	}
	var out struct {
		Path       string     `json:"path,omitempty"`
		Generation uint64     `json:"generation,omitempty"`
		LoadedAt   *time.Time `json:"loaded_at,omitempty"`
		FailedAt   *time.Time `json:"failed_at,omitempty"`
		Errors     []problem  `json:"errors"`
	}
	out.Errors = []problem{}
	if s.o.File != nil {
		st := s.o.File.Status()
		out.Path, out.Generation, out.LoadedAt = st.Path, st.Generation, &st.LoadedAt
		if st.Err != nil {
			out.FailedAt = &st.FailedAt
			for _, e := range config.All(st.Err) {
				out.Errors = append(out.Errors, problem{e.Line, e.Path, e.Reason})
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	_ = enc.Encode(out) // fails where the client has gone
}
