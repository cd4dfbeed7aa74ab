package proxy

// fault is why a message was refused. Faults are made once, so that a hostile
// peer costs no allocation, and compared by identity.
type fault struct {
	status int    // what the client is answered, where it is the client's fault
	detail string // Envoy's response_code_details form: lower case, underscores
}

func (f *fault) Error() string { return f.detail }

var (
	faultLineEnding    = &fault{400, "line_not_ended_by_crlf"}
	faultStartLine     = &fault{400, "malformed_start_line"}
	faultMethod        = &fault{400, "malformed_method"}
	faultTarget        = &fault{400, "malformed_target"}
	faultVersion       = &fault{505, "version_not_supported"}
	faultFieldName     = &fault{400, "malformed_field_name"}
	faultFieldValue    = &fault{400, "malformed_field_value"}
	faultHost          = &fault{400, "malformed_host"}
	faultNoHost        = &fault{400, "missing_host_header"}
	faultManyHosts     = &fault{400, "several_host_headers"}
	faultLength        = &fault{400, "malformed_content_length"}
	faultManyLengths   = &fault{400, "several_content_lengths"}
	faultCoding        = &fault{400, "malformed_transfer_encoding"}
	faultCodingUnknown = &fault{501, "unknown_transfer_encoding"}
	faultBothFramings  = &fault{400, "content_length_with_transfer_encoding"}
	faultConnection    = &fault{400, "malformed_connection"}
	faultHeadSize      = &fault{431, "request_headers_too_large"}
	faultFieldCount    = &fault{431, "too_many_headers"}
	faultTargetSize    = &fault{414, "target_too_long"}
	faultExpectation   = &fault{417, "unknown_expectation"}
	faultChunkSize     = &fault{400, "malformed_chunk_size"}
	faultChunkEnd      = &fault{400, "malformed_chunk_end"}
	faultTrailer       = &fault{400, "malformed_trailer"}
	faultBodySize      = &fault{413, "request_body_too_large"}
	faultStatusLine    = &fault{502, "malformed_status_line"}
)
