package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// writeProto answers with m as Envoy writes it: snake_case names,
// 64-bit integers as strings, one space of indentation. all prints fields of
// default value too.
func (s *Server) writeProto(w http.ResponseWriter, m proto.Message, all bool) {
	compact, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: all}.Marshal(m)
	if err != nil {
		s.fail(w, http.StatusInternalServerError, err.Error()+"\n")
		return
	}
	// protojson varies its white space on purpose; indenting settles it.
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", " "); err != nil {
		s.fail(w, http.StatusInternalServerError, err.Error()+"\n")
		return
	}
	b.WriteByte('\n')
	w.Header().Set("Content-Type", "application/json")
	w.Write(b.Bytes())
}

// protoAddress is a as Envoy's core.Address.
func protoAddress(a netip.AddrPort) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       a.Addr().String(),
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.Port())},
	}}}
}
