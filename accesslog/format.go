package accesslog

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/dockerlb/dockerlb/proxy"
)

// longestValue is where what a client sends is cut.
const longestValue = 8 << 10

const timeFormat = "2006-01-02T15:04:05.000Z"

// appendText is Envoy's default line: [start] "method path
// protocol" status flags received sent duration upstream-time
// "x-forwarded-for" "user-agent" "x-request-id" "authority" "upstream". What is
// not there is "-". A quotation mark, a backslash and what is not printable is
// escaped: a client must not be able to write lines of its own.
func appendText(b []byte, r *proxy.Record) []byte {
	b = append(b, '[')
	b = r.Start.UTC().AppendFormat(b, timeFormat)
	b = append(b, `] "`...)
	b = escapedOr(b, r.Method)
	b = append(b, ' ')
	b = escapedOr(b, r.Target)
	b = append(b, ' ')
	b = append(b, r.Protocol...)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, ' ')
	b = r.Flags.Append(b)
	for _, n := range [...]int64{r.BytesReceived, r.BytesSent, r.Duration.Milliseconds()} {
		b = append(b, ' ')
		b = strconv.AppendInt(b, n, 10)
	}
	b = append(b, ' ')
	if r.UpstreamTime > 0 {
		b = strconv.AppendInt(b, r.UpstreamTime.Milliseconds(), 10)
	} else {
		b = append(b, '-')
	}
	forwarded, _ := r.RequestHeader("x-forwarded-for")
	agent, _ := r.RequestHeader("user-agent")
	for _, v := range [...][]byte{forwarded, agent, r.RequestID, r.Authority} {
		b = append(b, ` "`...)
		b = escapedOr(b, v)
		b = append(b, '"')
	}
	b = append(b, ` "`...)
	if r.Upstream.IsValid() {
		b = r.Upstream.AppendTo(b)
	} else {
		b = append(b, '-')
	}
	return append(b, "\"\n"...)
}

// appendJSON is an object with Envoy's operators as its keys, in lower case and
// sorted; what is not there is null. Times are in milliseconds.
func appendJSON(b []byte, r *proxy.Record) []byte {
	forwarded, _ := r.RequestHeader("x-forwarded-for")
	agent, _ := r.RequestHeader("user-agent")
	b = text(b, `{"authority":`, r.Authority)
	b = number(b, `,"bytes_received":`, r.BytesReceived)
	b = number(b, `,"bytes_sent":`, r.BytesSent)
	b = append(b, `,"client":"`...)
	b = r.Client.AppendTo(b)
	b = text(b, `","cluster":`, r.Cluster)
	b = number(b, `,"duration":`, r.Duration.Milliseconds())
	b = text(b, `,"listener":`, r.Listener)
	b = text(b, `,"method":`, r.Method)
	b = text(b, `,"path":`, r.Target)
	b = append(b, `,"peer":"`...)
	b = r.Peer.AppendTo(b)
	b = text(b, `","protocol":`, r.Protocol)
	b = text(b, `,"request_id":`, r.RequestID)
	b = number(b, `,"response_code":`, int64(r.Status))
	b = text(b, `,"response_code_details":`, r.Details)
	b = append(b, `,"response_flags":"`...)
	b = r.Flags.Append(b)
	b = text(b, `","route":`, r.Route)
	b = append(b, `,"start_time":"`...)
	b = r.Start.UTC().AppendFormat(b, timeFormat)
	b = number(b, `","upstream_attempts":`, int64(r.Attempts))
	b = append(b, `,"upstream_host":`...)
	if r.Upstream.IsValid() {
		b = append(b, '"')
		b = r.Upstream.AppendTo(b)
		b = append(b, '"')
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"upstream_service_time":`...)
	if r.UpstreamTime > 0 {
		b = strconv.AppendInt(b, int64(r.UpstreamTime/time.Millisecond), 10)
	} else {
		b = append(b, "null"...)
	}
	b = text(b, `,"user_agent":`, agent)
	b = text(b, `,"x_forwarded_for":`, forwarded)
	return append(b, "}\n"...)
}

func number(b []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(b, key...), n, 10)
}

func text[T string | []byte](b []byte, key string, v T) []byte {
	b = append(b, key...)
	if len(v) == 0 {
		return append(b, "null"...)
	}
	return append(quoted(append(b, '"'), v), '"')
}

// quoted appends v as within a JSON string; octets that are no UTF-8 become
// U+FFFD.
func quoted[T string | []byte](b []byte, v T) []byte {
	const hex = "0123456789abcdef"
	v = v[:min(len(v), longestValue)]
	for i := 0; i < len(v); {
		c := v[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			var four [utf8.UTFMax]byte
			r, size := utf8.DecodeRune(four[:copy(four[:], v[i:])])
			b = utf8.AppendRune(b, r)
			i += size
			continue
		}
		i++
	}
	return b
}

func escapedOr(b, v []byte) []byte {
	const hex = "0123456789abcdef"
	if len(v) == 0 {
		return append(b, '-')
	}
	for _, c := range v[:min(len(v), longestValue)] {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c >= 0x7f:
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
