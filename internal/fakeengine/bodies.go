package fakeengine

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

type object = map[string]any

func (c *container) up() bool {
	return c.state == "running" || c.state == "paused" || c.state == "restarting"
}

// status is the list's text for people, which carries health below API 1.52.
func (c *container) status() string {
	switch {
	case c.state == "paused":
		return "Up 5 seconds (Paused)"
	case c.state == "running" && c.health == "starting":
		return "Up 5 seconds (health: starting)"
	case c.state == "running" && c.health != "":
		return "Up 5 seconds (" + c.health + ")"
	case c.state == "running":
		return "Up 5 seconds"
	case c.state == "restarting":
		return fmt.Sprintf("Restarting (%d) 1 second ago", c.exitCode)
	case c.state == "created":
		return "Created"
	}
	return fmt.Sprintf("Exited (%d) 5 seconds ago", c.exitCode)
}

func (c *container) networkBodies() object {
	all := object{}
	for name, p := range c.endpoints {
		n := object{"NetworkID": p.network.id, "EndpointID": p.id, "IPAddress": "", "Gateway": "", "GlobalIPv6Address": "", "MacAddress": ""}
		if p.ip.IsValid() {
			n["IPAddress"], n["Gateway"], n["IPPrefixLen"] = p.ip.String(), p.network.gateway().String(), 16
		}
		all[name] = n
	}
	return all
}

func (c *container) mode(e *Engine) string {
	if ref, ok := strings.CutPrefix(c.NetworkMode, "container:"); ok && e != nil {
		if peer := e.lookup(ref); peer != nil {
			return "container:" + peer.id
		}
	}
	return c.NetworkMode
}

// summary is an element of the list. Call with mu.
func (c *container) summary() object {
	ports := []object{}
	// The list knows the ports of the container's own sandbox only.
	if c.up() && !strings.HasPrefix(c.NetworkMode, "container:") && c.NetworkMode != "host" {
		for _, p := range c.Ports {
			number, protocol, _ := strings.Cut(p, "/")
			n, _ := strconv.Atoi(number)
			ports = append(ports, object{"PrivatePort": n, "Type": protocol})
		}
	}
	return object{
		"Id": c.id, "Names": []string{"/" + c.Name}, "Image": c.Image, "Created": c.created.Unix(),
		"Labels": c.Labels, "State": c.state, "Status": c.status(), "Ports": ports,
		"HostConfig":      object{"NetworkMode": c.NetworkMode},
		"NetworkSettings": object{"Networks": c.networkBodies()},
	}
}

// details is inspect's answer. Call with mu.
func (e *Engine) details(c *container) object {
	exposed, bound := object{}, object{}
	for _, p := range c.Ports {
		exposed[p] = object{}
		if c.up() {
			bound[p] = nil
		}
	}
	state := object{"Status": c.state, "Running": c.up(), "Paused": c.state == "paused", "Restarting": c.state == "restarting",
		"ExitCode": c.exitCode, "StartedAt": c.started.UTC().Format(time.RFC3339Nano)}
	config := object{"Hostname": c.Hostname, "Image": c.Image, "Labels": c.Labels, "Env": c.Env, "ExposedPorts": exposed}
	if c.StopSignal != "" {
		config["StopSignal"] = c.StopSignal
	}
	if c.StopTimeout != 0 {
		config["StopTimeout"] = c.StopTimeout
	}
	if c.Health != nil {
		config["Healthcheck"] = object{"Test": []string{"CMD", "/check"}, "Interval": int64(c.Health.Interval),
			"StartPeriod": int64(c.Health.StartPeriod), "StartInterval": int64(c.Health.StartInterval)}
		log := []object{}
		for _, at := range c.probed {
			log = append(log, object{"Start": at, "End": at, "ExitCode": 0, "Output": "ok"})
		}
		state["Health"] = object{"Status": c.health, "FailingStreak": 0, "Log": log}
	}
	return object{
		"Id": c.id, "Name": "/" + c.Name, "Created": c.created.UTC().Format(time.RFC3339Nano), "Image": "sha256:" + c.id,
		"State": state, "Config": config,
		"HostConfig":      object{"NetworkMode": c.mode(e)},
		"NetworkSettings": object{"Ports": bound, "Networks": c.networkBodies()},
	}
}
