package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/admin"
)

// completeCommand is what the shells' scripts call with the words so far, the
// last one being the one to complete. It prints a candidate per line, with a
// tab and a description where there is one.
const completeCommand = "__complete"

func (p *Program) completionCommand() *cli.Command {
	c := &cli.Command{
		Name:            "completion",
		Usage:           "print a script that makes a shell complete lb's words",
		HideHelpCommand: true,
		Description: `bash:  source <(lb completion bash)      in ~/.bashrc
zsh:   source <(lb completion zsh)       in ~/.zshrc, after compinit
fish:  lb completion fish | source       in ~/.config/fish/config.fish`,
		Action: func(c *cli.Context) error {
			return usageError("completion: for which shell? %s", strings.Join(commandNames(c.Command.Subcommands), ", "))
		},
	}
	for _, s := range []struct{ shell, script string }{
		{"bash", bashCompletion}, {"fish", fishCompletion}, {"zsh", zshCompletion},
	} {
		c.Subcommands = append(c.Subcommands, &cli.Command{
			Name:            s.shell,
			Usage:           "print the script for " + s.shell,
			HideHelpCommand: true,
			Action: func(c *cli.Context) error {
				if err := noArguments(c); err != nil {
					return err
				}
				_, err := fmt.Fprint(p.Stdout, s.script)
				return err
			},
		})
	}
	return c
}

// The scripts ask the program itself, by the name it was called by, so they
// need no word of their own and do not age.

const bashCompletion = `_lb() {
    local IFS=$'\n' line
    COMPREPLY=()
    # bash takes a colon and an equals sign for the end of a word.
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o default -F _lb lb
`

const zshCompletion = `#compdef lb
_lb() {
    local -a candidates
    local line
    while IFS= read -r line; do
        local word=${line%%$'\t'*} help=
        [[ $line == *$'\t'* ]] && help=${line#*$'\t'}
        candidates+=("${word//:/\\:}${help:+:$help}")
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#candidates} )); then
        _describe -t lb lb candidates
    else
        _files
    fi
}
compdef _lb lb
`

const fishCompletion = `function __lb_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c lb -f -a '(__lb_complete)'
for flag in admin-token-file docker-tls-ca docker-tls-cert docker-tls-key config
    complete -c lb -l $flag -rF
end
`

// candidate is one way to go on.
type candidate struct{ word, help string }

// flagValues are the values of flags that have few.
var flagValues = map[string][]string{
	"log-level":         logLevels,
	"log-format":        logFormats,
	"access-log-format": accessLogFormats,
}

// complete prints what the last of words may become.
func (p *Program) complete(ctx context.Context, app *cli.App, words []string) {
	last := ""
	if len(words) > 0 {
		last = words[len(words)-1]
		words = words[:len(words)-1]
	}
	for _, c := range candidates(ctx, app, words, last) {
		if !strings.HasPrefix(c.word, last) {
			continue
		}
		if c.help != "" {
			fmt.Fprintf(p.Stdout, "%s\t%s\n", c.word, c.help)
		} else {
			fmt.Fprintln(p.Stdout, c.word)
		}
	}
}

func candidates(ctx context.Context, app *cli.App, words []string, last string) []candidate {
	commands, flags := app.Commands, app.Flags
	var command *cli.Command
	nargs := 0
	adminAddr := ""
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "--":
		case len(w) > 1 && w[0] == '-':
			name, value, hasValue := strings.Cut(strings.TrimLeft(w, "-"), "=")
			f := findFlag(flags, name)
			if f != nil && !hasValue && !isBool(f) {
				if i+1 == len(words) {
					return values(command, f)
				}
				i++
				value = words[i]
			}
			if name == "admin" {
				adminAddr = value
			}
		case len(commands) > 0 && nargs == 0:
			c := find(commands, w)
			if c == nil {
				return nil
			}
			command, commands, flags = c, c.Subcommands, c.Flags
		default:
			nargs++
		}
	}
	var out []candidate
	if strings.HasPrefix(last, "-") {
		for _, f := range flags {
			if v, ok := f.(cli.VisibleFlag); ok && !v.IsVisible() {
				continue
			}
			out = append(out, candidate{dashed(f.Names()[0]), flagHelp(f)})
		}
		return append(out, candidate{"--help", "show help"})
	}
	for _, c := range commands {
		if !c.Hidden {
			out = append(out, candidate{c.Name, c.Usage})
		}
	}
	if command != nil && nargs == 0 && strings.HasPrefix(command.ArgsUsage, "CONTAINER") {
		return containers(ctx, adminAddr)
	}
	return out
}

// flagHelp is a flag's usage on one line, without the marks of its value.
func flagHelp(f cli.Flag) string {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	return strings.ReplaceAll(strings.ReplaceAll(d.GetUsage(), "`", ""), "\n", " ")
}

func values(command *cli.Command, f cli.Flag) []candidate {
	name := f.Names()[0]
	known := flagValues[name]
	if name == "output" {
		known = []string{"table", "json"}
		if command != nil && command.Name == "version" {
			known = []string{"text", "json"}
		}
	}
	var out []candidate
	for _, v := range known {
		out = append(out, candidate{word: v})
	}
	return out
}

// completeTimeout: a shell that hangs on the tab key is worse than no help.
const completeTimeout = 500 * time.Millisecond

// containers are the names of those that have an endpoint; none where no lb
// answers.
func containers(ctx context.Context, addr string) []candidate {
	if addr == "" {
		addr = envOr("LB_ADMIN", defaultAdmin)
	}
	client := admin.Dial(addr, "")
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	a, err := client.Endpoints(ctx)
	if err != nil {
		return nil
	}
	var out []candidate
	for _, e := range a.Endpoints {
		c := candidate{e.Container, e.Cluster + ", " + e.State}
		if e.Container != "" && !slices.ContainsFunc(out, func(o candidate) bool { return o.word == c.word }) {
			out = append(out, c)
		}
	}
	return out
}
