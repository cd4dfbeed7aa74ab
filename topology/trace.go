package topology

import "fmt"

// recorder writes a container's steps while they are decided.
type recorder struct {
	trace   *Trace
	service string // named in each step; empty for the short form's
	reason  string // of the first step that kept something out
}

func (r *recorder) yes(rule, format string, args ...any) { r.add(rule, true, format, args) }
func (r *recorder) no(rule, format string, args ...any)  { r.add(rule, false, format, args) }

func (r *recorder) add(rule string, ok bool, format string, args []any) {
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	if r.service != "" {
		text = "service " + r.service + ": " + text
	}
	step := Step{Rule: rule, OK: ok, Text: text}
	r.trace.Steps = append(r.trace.Steps, step)
	if !ok && r.reason == "" {
		r.reason = step.String()
	}
}

// String is the step as one line: `port: 8080, its only exposed TCP port`.
func (s Step) String() string { return s.Rule + ": " + s.Text }
