package proxy

// isGRPC reports whether the request asks for gRPC: application/grpc, bare or
// with a suffix as in application/grpc+proto. gRPC-Web is not (Envoy's
// Grpc::Common::hasGrpcContentType).
func (ex *exchange) isGRPC() bool {
	const grpc = "application/grpc"
	v, n := ex.req.lookup("content-type")
	return n == 1 && len(v) >= len(grpc) && equalFold(v[:len(grpc)], grpc) && (len(v) == len(grpc) || v[len(grpc)] == '+')
}

// grpcReply makes a local reply one that a gRPC client understands: such a
// client wants HTTP 200 and a status of its own, and shows the message
// (the "Trailers-Only" of gRPC's PROTOCOL-HTTP2.md).
func (ex *exchange) grpcReply(status int, body []byte) {
	ex.addResp = append(ex.addResp, pair{"content-type", grpcType}, pair{"grpc-status", ex.decimal(int64(grpcStatus(status)))})
	if len(body) > 0 {
		n := len(ex.scratch)
		ex.scratch = appendGRPCMessage(ex.scratch, body)
		ex.addResp = append(ex.addResp, pair{"grpc-message", ex.scratch[n:]})
	}
}

var grpcType = []byte("application/grpc")

// grpcStatus is the code for an HTTP status, as gRPC's
// http-grpc-status-mapping.md has it.
func grpcStatus(http int) int {
	switch http {
	case 400:
		return 13 // INTERNAL
	case 401:
		return 16 // UNAUTHENTICATED
	case 403:
		return 7 // PERMISSION_DENIED
	case 404:
		return 12 // UNIMPLEMENTED
	case 429, 502, 503, 504:
		return 14 // UNAVAILABLE
	}
	return 2 // UNKNOWN
}

// appendGRPCMessage percent-encodes all but the printable ASCII characters
// besides the percent sign (PROTOCOL-HTTP2.md, Status-Message).
func appendGRPCMessage(b, message []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range message {
		if c < ' ' || c > '~' || c == '%' {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}
