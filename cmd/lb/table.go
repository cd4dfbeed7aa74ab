package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table is rows of text in columns.
type table struct {
	head  []string // none: no heading
	rows  [][]string
	empty string // what to say where there is no row
}

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = printable(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// write aligns the columns, two spaces apart, with no space at a line's end. A
// column of numbers is flush right; a column without any text is left out.
func (t *table) write(w io.Writer) {
	if len(t.rows) == 0 {
		if t.empty != "" {
			fmt.Fprintln(w, t.empty)
		}
		return
	}
	columns := 0
	for _, r := range t.rows {
		columns = max(columns, len(r))
	}
	width, numeric := make([]int, columns), make([]bool, columns)
	for i := range columns {
		numeric[i] = true
		for _, r := range t.rows {
			if i < len(r) && r[i] != "" {
				width[i] = max(width[i], utf8.RuneCountInString(r[i]))
				numeric[i] = numeric[i] && isNumber(r[i])
			}
		}
		if width[i] > 0 && i < len(t.head) {
			width[i] = max(width[i], len(t.head[i]))
		}
	}
	line := func(cells []string) {
		var b strings.Builder
		for i, c := range cells {
			if width[i] == 0 {
				continue
			}
			if b.Len() > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if numeric[i] {
				b.WriteString(pad + c)
			} else {
				b.WriteString(c + pad)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	if t.head != nil {
		line(t.head)
	}
	for _, r := range t.rows {
		line(r)
	}
}

func isNumber(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// printable takes control characters out: names and labels come from others,
// and a terminal obeys them.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}
