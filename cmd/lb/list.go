package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/dockerlb/dockerlb/admin"
	"github.com/dockerlb/dockerlb/topology"
)

// listing is one kind of thing that lb list shows: what the admin port
// answers, and that as a table.
type listing struct {
	name, usage string
	fetch       func(context.Context, *admin.Client) (answer any, t table, st admin.Status, err error)
}

var listings = []listing{
	{"clusters", "clusters: how many endpoints are ready, and what was sent", fetchClusters},
	{"endpoints", "endpoints: state and why, weight, requests", fetchEndpoints},
	{"routes", "routes in the order of matching, and who asked for them", fetchRoutes},
	{"listeners", "listeners and their addresses", fetchListeners},
}

func (p *Program) listCommand() *cli.Command {
	list := &cli.Command{
		Name:            "list",
		Usage:           "show clusters, endpoints, routes or listeners",
		HideHelpCommand: true,
		Description:     "Beneath the list stands what is not as it was meant: containers that are not\nrouted and why, labels that are wrong, conflicts.",
		Action: func(c *cli.Context) error {
			return usageError("list: of what? %s", strings.Join(commandNames(c.Command.Subcommands), ", "))
		},
	}
	for _, l := range listings {
		list.Subcommands = append(list.Subcommands, &cli.Command{
			Name:            l.name,
			Usage:           l.usage,
			HideHelpCommand: true,
			Flags: append(adminFlags()[:1],
				outputFlag("table", "json"),
				&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "again and again: in place on a terminal, else one after the other"},
				&cli.DurationFlag{Name: "interval", Value: time.Second, Usage: "of --watch, a `TIME` of at least 100ms"},
			),
			Action: func(c *cli.Context) error { return p.list(c, l) },
		})
	}
	return list
}

func (p *Program) list(c *cli.Context, l listing) error {
	if err := noArguments(c); err != nil {
		return err
	}
	output, err := choice(c, "output", "table", "json")
	if err != nil {
		return err
	}
	client, err := dial(c)
	if err != nil {
		return err
	}
	defer client.Close()
	show := func(ctx context.Context, w io.Writer) error {
		answer, t, st, err := l.fetch(ctx, client)
		if err != nil {
			return err
		}
		if output == "json" {
			enc := json.NewEncoder(w)
			enc.SetIndent("", "  ")
			return enc.Encode(answer)
		}
		t.write(w)
		writeNotes(w, st)
		return nil
	}
	if !c.Bool("watch") {
		return show(c.Context, p.Stdout)
	}
	if d := c.Duration("interval"); d < 100*time.Millisecond {
		return usageError("--interval %s: want at least 100ms", d)
	}
	return p.watch(c.Context, c.Duration("interval"), show)
}

func fetchClusters(ctx context.Context, client *admin.Client) (any, table, admin.Status, error) {
	a, err := client.Clusters(ctx)
	t := table{head: []string{"NAME", "TYPE", "SOURCE", "POLICY", "READY", "ACTIVE", "REQUESTS", "5XX", "RETRIES", "NOTE"}}
	for _, c := range a.Clusters {
		t.add(c.Name, c.Type, c.Source, c.Policy, fmt.Sprintf("%d/%d", c.Ready, c.Total),
			itoa(c.RequestsActive), utoa(c.Requests), utoa(c.Errors), utoa(c.Retries), clusterNote(c))
	}
	t.empty = "no clusters; a container joins one by the label lb.cluster: NAME"
	return a, t, a.Status, err
}

func clusterNote(c admin.Cluster) string {
	var notes []string
	if c.Tombstone != nil {
		notes = append(notes, "no members; its routes stay until "+c.Tombstone.Local().Format(time.TimeOnly))
	}
	if !c.Warm {
		notes = append(notes, "no answer of DNS yet")
	}
	if c.Panic {
		notes = append(notes, "panic: too few are ready, all are used")
	}
	if c.Held > 0 {
		notes = append(notes, requests(c.Held)+" held")
	}
	return strings.Join(notes, "; ")
}

func fetchEndpoints(ctx context.Context, client *admin.Client) (any, table, admin.Status, error) {
	a, err := client.Endpoints(ctx)
	t := table{head: []string{"CLUSTER", "CONTAINER", "ADDRESS", "STATE", "WEIGHT", "ACTIVE", "REQUESTS", "WHY"}}
	// For people by name; the answer itself is by incarnation.
	byName := slices.SortedStableFunc(slices.Values(a.Endpoints), func(a, b admin.Endpoint) int {
		return cmp.Or(natural(a.Cluster, b.Cluster), natural(a.Container, b.Container), natural(a.Address, b.Address))
	})
	for _, e := range byName {
		name := e.Container
		if name == "" {
			name = e.Hostname
		}
		weight := strconv.FormatUint(uint64(e.Weight), 10)
		if e.WeightSet {
			weight += fmt.Sprintf(" (%s %d)", configuredBy(e), e.Configured)
		}
		t.add(e.Cluster, name, e.Address, e.State, weight, itoa(e.RequestsActive), utoa(e.Requests), endpointWhy(e))
	}
	t.empty = "no endpoints; a container joins a cluster by the label lb.cluster: NAME"
	return a, t, a.Status, err
}

// configuredBy is where a weight came from that an operator has replaced.
func configuredBy(e admin.Endpoint) string {
	if e.Source == topology.FromLabels.String() {
		return "label"
	}
	return "file"
}

func endpointWhy(e admin.Endpoint) string {
	why := e.Why
	if e.Unconfirmed {
		if why != "" {
			why += "; "
		}
		why += "address not confirmed by DNS"
	}
	return why
}

func fetchRoutes(ctx context.Context, client *admin.Client) (any, table, admin.Status, error) {
	a, err := client.Routes(ctx)
	t := table{head: []string{"LISTENER", "HOST", "MATCH", "CLUSTER", "SOURCE", "ASKED BY"}}
	for _, r := range a.Routes {
		t.add(r.Listener, strings.Join(r.Hosts, ","), r.Match, routeTarget(r), r.Source, few(r.AskedBy, 4))
	}
	t.empty = "no routes; a container of a cluster asks for one by lb.host and lb.path"
	return a, t, a.Status, err
}

func routeTarget(r admin.Route) string {
	if len(r.Clusters) == 1 {
		return r.Clusters[0].Name
	}
	var parts []string
	for _, c := range r.Clusters {
		parts = append(parts, fmt.Sprintf("%s:%d", c.Name, c.Weight))
	}
	if len(parts) == 0 {
		return r.Answer
	}
	return strings.Join(parts, ",")
}

func fetchListeners(ctx context.Context, client *admin.Client) (any, table, admin.Status, error) {
	a, err := client.Listeners(ctx)
	t := table{head: []string{"NAME", "ADDRESS", "SOURCE", "ROUTES", "CONNECTIONS", "REQUESTS"}}
	for _, l := range a.Listeners {
		t.add(l.Name, l.Address, l.Source, strconv.Itoa(l.Routes), itoa(l.ConnectionsActive), utoa(l.Requests))
	}
	t.empty = "no listeners"
	return a, t, a.Status, err
}

// writeNotes says beneath a list what people must know to read it.
func writeNotes(w io.Writer, st admin.Status) {
	for _, e := range st.Engines {
		if !e.Connected {
			text := ""
			if e.Error != "" {
				text = ": " + e.Error
			}
			fmt.Fprintf(w, "\nnot connected to %s%s\nwhat was known last stays in force\n", e.Name, text)
		}
	}
	if f := st.File; f != nil {
		fmt.Fprintf(w, "\n%s\n", fileLine(f, time.Now()))
	}
	if st.State != "LIVE" {
		fmt.Fprintf(w, "\n%s: %s\n", strings.ToLower(st.State), st.Reason)
	}
	var out []admin.NotRouted
	for _, n := range st.NotRouted {
		if n.Verdict != "not running" { // those are on the page and in explain
			out = append(out, n)
		}
	}
	if len(out) > 0 {
		fmt.Fprintln(w, "\nnot routed:")
		t := table{}
		for _, n := range out {
			t.add("  "+n.Container, n.Verdict, n.Reason)
		}
		t.write(w)
	}
	labels := table{}
	for _, p := range st.Problems {
		if p.Severity != "quarantined" || p.Hint != "" { // else said above
			labels.add("  "+p.Container, p.Severity, problemText(p))
		}
	}
	if len(labels.rows) > 0 {
		fmt.Fprintln(w, "\nlabels:")
		labels.write(w)
	}
	if len(st.Conflicts) > 0 {
		fmt.Fprintln(w, "\nconflicts:")
		t := table{}
		for _, c := range st.Conflicts {
			t.add("  "+c.What, "in force: "+c.Winner, "not: "+strings.Join(c.Losers, ", "))
		}
		t.write(w)
	}
}

// fileLine says which configuration file is in force, and whether its newest
// version is not.
func fileLine(f *admin.FileState, now time.Time) string {
	line := fmt.Sprintf("file: %s, loaded %s ago", f.Path, now.Sub(f.LoadedAt).Truncate(time.Second))
	switch {
	case f.Errors == 1:
		line += "; its newest version is not in force: " + f.Error
	case f.Errors > 1:
		line += fmt.Sprintf("; its newest version is not in force, %d errors: lb validate --config %s", f.Errors, f.Path)
	}
	return line
}

func problemText(p admin.Problem) string {
	text := p.Reason
	if p.Label != "" {
		text = p.Label + ": " + text
	}
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return text
}

// few joins the first n names and counts the rest.
func few(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
}

func itoa(n int64) string  { return strconv.FormatInt(n, 10) }
func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
