package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

const (
	readme      = "../../README.md"
	flagsBegin  = "<!-- written by: go test ./cmd/lb -run README -update -->\n"
	flagsEnd    = "<!-- end -->\n"
	flagsHeader = "| flag | variable | default | meaning |\n|---|---|---|---|\n"
)

// The README has every flag of lb run, as the command has them, and no other.
func TestFlagsInREADME(t *testing.T) {
	raw, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), flagsBegin)
	got, after, ended := strings.Cut(rest, flagsEnd)
	if !ok || !ended {
		t.Fatalf("%s has no part between %q and %q", readme, flagsBegin, flagsEnd)
	}
	want := flagTables()
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile(readme, []byte(before+flagsBegin+want+flagsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the flags in %s are not those of lb run (-update writes them anew):\n%s\nwant:\n%s", readme, got, want)
}

func TestExitCodesInREADME(t *testing.T) {
	raw, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	flat := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	_, codes, ok := strings.Cut(flat(new(Program).app().Description), "Exit codes: ")
	if !ok {
		t.Fatal("lb help names no exit codes")
	}
	for _, code := range strings.Split(strings.TrimSuffix(codes, "."), "; ") {
		number, meaning, _ := strings.Cut(code, " ")
		if row := "| " + number + " | " + meaning + " |"; !strings.Contains(flat(string(raw)), row) {
			t.Errorf("%s has no row %q", readme, row)
		}
	}
}

// flagTables are the flags in the order of the help's categories.
func flagTables() string {
	var text strings.Builder
	category := ""
	for _, f := range runFlags() {
		if c := f.(cli.CategorizableFlag).GetCategory(); c != category {
			category = c
			fmt.Fprintf(&text, "\n**%s**\n\n%s", category, flagsHeader)
		}
		text.WriteString(flagRow(f))
	}
	text.WriteString("\n")
	return text.String()
}

var (
	placeholder = regexp.MustCompile("`([^`]+)`")
	// 1h0m0s is what Go prints for 1h.
	zeroUnits = regexp.MustCompile(`([hm])(0[ms])+$`)
)

func flagRow(f cli.Flag) string {
	doc := f.(cli.DocGenerationFlag)
	names := make([]string, 0, 2)
	for _, n := range f.Names() {
		names = append(names, strings.Repeat("-", min(len(n), 2))+n)
	}
	flag := strings.Join(names, ", ")
	usage := doc.GetUsage()
	if p := placeholder.FindStringSubmatch(usage); p != nil {
		flag += " " + p[1]
		usage = placeholder.ReplaceAllString(usage, "$1")
	}
	variables := make([]string, 0, 2)
	for _, v := range doc.GetEnvVars() {
		variables = append(variables, "`"+v+"`")
	}
	byDefault := strings.ReplaceAll(doc.GetDefaultText(), `"`, "")
	byDefault = zeroUnits.ReplaceAllString(byDefault, "$1")
	if byDefault != "" {
		byDefault = "`" + byDefault + "`"
	}
	row := fmt.Sprintf("| `%s` | %s | %s | %s |", flag, strings.Join(variables, ", "), byDefault, strings.ReplaceAll(usage, "|", `\|`))
	return strings.ReplaceAll(row, "|  |", "| |") + "\n"
}
