package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/admin"
)

// version is set by -ldflags "-X main.version=…"; without that it is what the
// go command stamped.
var version string

func buildVersion() admin.Version {
	info, _ := debug.ReadBuildInfo()
	return versionFrom(version, info)
}

// versionFrom joins what the linker and the go command know.
func versionFrom(linked string, info *debug.BuildInfo) admin.Version {
	v := admin.Version{Version: linked, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info != nil {
		if v.Version == "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.time":
				v.Built = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	if v.Version == "" {
		v.Version = "unknown"
	}
	return v
}

func (p *Program) versionCommand() *cli.Command {
	return &cli.Command{
		Name:            "version",
		Usage:           "print what this program is",
		HideHelpCommand: true,
		Flags:           []cli.Flag{outputFlag("text", "json")},
		Action: func(c *cli.Context) error {
			output, err := choice(c, "output", "text", "json")
			if err != nil {
				return err
			}
			if err := noArguments(c); err != nil {
				return err
			}
			v := buildVersion()
			if output == "json" {
				enc := json.NewEncoder(p.Stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(v)
			}
			fmt.Fprintf(p.Stdout, "lb %s\n", v.Version)
			if v.Revision != "" {
				modified := ""
				if v.Modified {
					modified = ", with uncommitted changes"
				}
				fmt.Fprintf(p.Stdout, "source %s of %s%s\n", v.Revision, v.Built, modified)
			}
			fmt.Fprintf(p.Stdout, "%s %s\n", v.Go, v.Platform)
			return nil
		},
	}
}
