package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong with a bootstrap file.
type Error struct {
	Line   int    // 1 is the first; 0: unknown
	Path   string // static_resources.listeners[0].address
	Reason string
}

func (e Error) Error() string {
	where := e.Path
	if e.Line > 0 {
		where = fmt.Sprintf("line %d: %s", e.Line, where)
	}
	return strings.TrimSuffix(where, " ") + ": " + e.Reason
}

// Errors is all that is wrong with a file, sorted by line.
type Errors []Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns e by line, without doubles, or nil where there is none.
func (e Errors) sorted() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(e)
}

// All are the errors of a file as they are in err; one that is of another kind
// (the file cannot be read) is one without a line.
func All(err error) Errors {
	var all Errors
	switch {
	case err == nil:
		return nil
	case errors.As(err, &all):
		return all
	}
	return Errors{{Reason: err.Error()}}
}
