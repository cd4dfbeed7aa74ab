package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange checks the words of a command line against the commands and flags
// that exist, with a "did you mean" where one does not, and puts flags before
// arguments: package flag stops at the first argument, and people write
// "lb drain web-1 --wait".
func arrange(app *cli.App, args []string) ([]string, error) {
	path := []string{app.Name}
	commands, flags := app.Commands, app.Flags
	var command *cli.Command
	var front, arguments []string
	rest := args[min(1, len(args)):]
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		switch {
		case word == "--":
			arguments = append(arguments, rest...)
			rest = nil
		case len(word) > 1 && word[0] == '-':
			taken, err := takeFlag(path, flags, word, &rest)
			if err != nil {
				return nil, err
			}
			front = append(front, taken...)
		case len(commands) > 0 && len(arguments) == 0:
			next := find(commands, word)
			if next == nil && word != "help" && word != "h" {
				return nil, usageError("%sunknown command %q%s", inside(path), word, didYouMean(word, commandNames(commands)))
			}
			front = append(front, word)
			if next == nil { // help of this level; its arguments are commands
				return append(append(args[:1:1], front...), rest...), nil
			}
			command = next
			path = append(path, command.Name)
			commands, flags = command.Subcommands, command.Flags
		default:
			arguments = append(arguments, word)
		}
	}
	out := append(args[:min(1, len(args)):1], front...)
	if command != nil && len(arguments) > 0 {
		out = append(append(out, "--"), arguments...)
	}
	return out, nil
}

// takeFlag checks one flag and takes its value, if it has one, from rest.
func takeFlag(path []string, flags []cli.Flag, word string, rest *[]string) ([]string, error) {
	name, _, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
	if name == "help" || name == "h" {
		return []string{word}, nil
	}
	flag := findFlag(flags, name)
	if flag == nil {
		return nil, usageError("%sunknown flag %s%s", inside(path), dashed(name), didYouMean(dashed(name), flagNames(flags)))
	}
	if hasValue || isBool(flag) {
		return []string{word}, nil
	}
	if len(*rest) == 0 {
		return nil, usageError("%sflag %s needs a value", inside(path), dashed(name))
	}
	value := (*rest)[0]
	*rest = (*rest)[1:]
	return []string{word, value}, nil
}

// inside names the command that a message is about; exit writes "lb: " before.
func inside(path []string) string {
	if len(path) == 1 {
		return ""
	}
	return strings.Join(path[1:], " ") + ": "
}

func find(commands []*cli.Command, name string) *cli.Command {
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(name) })
	if i < 0 {
		return nil
	}
	return commands[i]
}

func findFlag(flags []cli.Flag, name string) cli.Flag {
	i := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return nil
	}
	return flags[i]
}

func isBool(f cli.Flag) bool {
	_, ok := f.(*cli.BoolFlag)
	return ok
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

func commandNames(commands []*cli.Command) []string {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

func flagNames(flags []cli.Flag) []string {
	var names []string
	for _, f := range flags {
		for _, n := range f.Names() {
			names = append(names, dashed(n))
		}
	}
	return names
}

// didYouMean is ` (did you mean "x"?)` where a known word is near, else a list
// of the known ones where they are few.
func didYouMean(word string, known []string) string {
	best, distance := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if d := editDistance(word, k); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(known) > 0 && len(known) <= 10:
		return "; there are: " + strings.Join(known, ", ")
	}
	return ""
}

// editDistance counts the letters to insert, delete or replace, and
// neighbours to swap, to make b of a.
func editDistance(a, b string) int {
	before, row := []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
