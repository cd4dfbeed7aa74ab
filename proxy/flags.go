package proxy

// Flags are Envoy's response flags, one bit each.
type Flags uint32

const (
	FlagUH  Flags = 1 << iota // no healthy upstream
	FlagUT                    // upstream request timeout
	FlagLR                    // local reset
	FlagUR                    // upstream remote reset
	FlagUF                    // upstream connection failure
	FlagUC                    // upstream connection termination
	FlagUO                    // overflow: circuit breaking
	FlagNR                    // no route
	FlagDC                    // downstream connection termination
	FlagURX                   // retry limit exceeded
	FlagSI                    // stream idle timeout
	FlagDPE                   // downstream protocol error
	FlagUPE                   // upstream protocol error
	FlagNC                    // no cluster
	FlagOM                    // overload manager
	flagEnd
)

var flagNames = [...]string{"UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DC", "URX", "SI", "DPE", "UPE", "NC", "OM"}

// Append appends the flags joined by commas, "-" for none. Envoy prints them in
// the order in which they were set; of the pairs that occur here only URX and UO
// (a retry denied) come before their companions.
func (f Flags) Append(b []byte) []byte {
	if f == 0 {
		return append(b, '-')
	}
	const first = FlagURX | FlagUO
	n := len(b)
	for _, some := range [...]Flags{f & first, f &^ first} {
		for i, name := range flagNames {
			if some&(1<<i) == 0 {
				continue
			}
			if len(b) > n {
				b = append(b, ',')
			}
			b = append(b, name...)
		}
	}
	return b
}

func (f Flags) String() string { return string(f.Append(nil)) }
