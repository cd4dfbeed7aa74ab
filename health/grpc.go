package health

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"google.golang.org/protobuf/encoding/protowire"
)

// serving is HealthCheckResponse.ServingStatus SERVING.
const serving = 1

// maxMessage is more than any HealthCheckResponse.
const maxMessage = 4 << 10

// grpc calls grpc.health.v1.Health/Check over HTTP/2. The message is one field,
// so it is written and read by hand: a gRPC library would be most of the binary.
func (p *prober) grpc(ctx context.Context, t target) result {
	tr, scheme, err := p.transport(t)
	if err != nil {
		return result{kind: network, reason: err.Error()}
	}
	defer tr.CloseIdleConnections()
	body := checkRequest(t.settings.Service)
	req := (&http.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Scheme: scheme, Host: t.address.String(), Path: "/grpc.health.v1.Health/Check"},
		Host:   t.host,
		Header: http.Header{
			"Content-Type": {"application/grpc"},
			"Te":           {"trailers"},
			"User-Agent":   {envoyAgent},
		},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
	}).WithContext(ctx)
	mutate(req.Header, t.settings.RequestHeaders)
	res, err := tr.RoundTrip(req)
	if err != nil {
		return failure(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return result{kind: active, reason: fmt.Sprintf("status %d", res.StatusCode)}
	}
	message, err := io.ReadAll(io.LimitReader(res.Body, maxMessage))
	if err != nil {
		return failure(ctx, err)
	}
	// A response without a message carries its status among the headers.
	status := res.Trailer.Get("Grpc-Status")
	if status == "" {
		status = res.Header.Get("Grpc-Status")
	}
	if status != "0" {
		return result{kind: active, reason: fmt.Sprintf("grpc-status %q", status)}
	}
	got, err := checkResponse(message)
	switch {
	case err != nil:
		return result{kind: active, reason: err.Error()}
	case got != serving:
		return result{kind: active, reason: fmt.Sprintf("serving status %d", got)}
	}
	return result{kind: success, degraded: len(res.Header.Values("x-envoy-degraded")) > 0}
}

// checkRequest is a HealthCheckRequest in gRPC's frame: a byte that says "not
// compressed", four of length. Field 1 is the service.
func checkRequest(service string) []byte {
	var m []byte
	if service != "" {
		m = protowire.AppendTag(m, 1, protowire.BytesType)
		m = protowire.AppendString(m, service)
	}
	b := make([]byte, 5, 5+len(m))
	binary.BigEndian.PutUint32(b[1:], uint32(len(m)))
	return append(b, m...)
}

// checkResponse reads field 1, the status, of a framed HealthCheckResponse.
func checkResponse(b []byte) (uint64, error) {
	if len(b) < 5 || b[0] != 0 || int64(binary.BigEndian.Uint32(b[1:])) != int64(len(b)-5) {
		return 0, fmt.Errorf("malformed gRPC message of %d bytes", len(b))
	}
	var status uint64
	for b = b[5:]; len(b) > 0; {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, fmt.Errorf("malformed HealthCheckResponse: %w", protowire.ParseError(n))
		}
		b = b[n:]
		if num == 1 && typ == protowire.VarintType {
			status, n = protowire.ConsumeVarint(b)
		} else {
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return 0, fmt.Errorf("malformed HealthCheckResponse: %w", protowire.ParseError(n))
		}
		b = b[n:]
	}
	return status, nil
}
