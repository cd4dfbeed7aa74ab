package dockerwatch

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const (
	idA = "aaaaaaaaaaaa0000000000000000000000000000000000000000000000000000"
	idB = "bbbbbbbbbbbb0000000000000000000000000000000000000000000000000000"
)

// fakeAsker answers inspect from a map by id, short id and name.
type fakeAsker struct {
	known  map[string]*inspected
	err    error
	hidden bool
}

func (f fakeAsker) inspect(_ context.Context, ref string) (*inspected, error) {
	if c := f.known[ref]; c != nil {
		return c, nil
	}
	if f.err != nil {
		return nil, f.err
	}
	return nil, errNotFound
}

func (f fakeAsker) publishedOnly(context.Context) bool { return f.hidden }

func containerOn(id, hostname, mode string, networks ...string) *inspected {
	c := &inspected{ID: id}
	c.Config.Hostname, c.HostConfig.NetworkMode = hostname, mode
	c.NetworkSettings.Networks = map[string]*endpoint{}
	for _, n := range networks {
		c.NetworkSettings.Networks[n] = &endpoint{NetworkID: "id of " + n, IPAddress: "10.0.0.5"}
	}
	return c
}

func TestFindSelf(t *testing.T) {
	down := errors.New("connection refused")
	byIP := listed{ID: idA, State: "running"}
	byIP.NetworkSettings.Networks = map[string]*endpoint{"n": {IPAddress: "10.0.0.5"}}
	twin := byIP
	twin.ID = idB
	for name, c := range map[string]struct {
		place  place
		known  map[string]*inspected
		err    error
		list   []listed
		before string
		want   string // our id
		host   bool   // HostNetwork
		nets   []string
		lender string
		fails  bool
	}{
		"on a host": {place: place{hostname: "laptop"}, host: true},
		"on a host whose name looks like an id": {
			place: place{hostname: idA[:12]}, known: map[string]*inspected{}, host: true},
		"by hostname": {
			place: place{hostname: idA[:12], container: true},
			known: map[string]*inspected{idA[:12]: containerOn(idA, idA[:12], "n", "n", "m")}, want: idA, nets: []string{"m", "n"}},
		"hostname: is another container's name": {
			place: place{hostname: "cafecafecafe", container: true, ids: []string{idA}},
			known: map[string]*inspected{"cafecafecafe": containerOn(idB, "x", "n"), idA: containerOn(idA, "cafecafecafe", "n", "n")}, want: idA, nets: []string{"n"}},
		"hostname: is another container's id": {
			place: place{hostname: idB[:12], container: true, ids: []string{idA}},
			known: map[string]*inspected{idB[:12]: containerOn(idB, "other", "n"), idA: containerOn(idA, idB[:12], "n", "n")}, want: idA, nets: []string{"n"}},
		"by mountinfo": {
			place: place{hostname: "proxy", container: true, ids: []string{idB, idA}},
			known: map[string]*inspected{idA: containerOn(idA, "proxy", "n", "n")}, want: idA, nets: []string{"n"}},
		"by address": {
			place: place{hostname: "proxy", container: true, interfaces: []netip.Addr{netip.MustParseAddr("10.0.0.5")}},
			known: map[string]*inspected{idA: containerOn(idA, "proxy", "n", "n")}, list: []listed{byIP}, want: idA, nets: []string{"n"}},
		"by address, two have it": {
			place: place{hostname: "proxy", container: true, interfaces: []netip.Addr{netip.MustParseAddr("10.0.0.5")}},
			known: map[string]*inspected{idA: containerOn(idA, "proxy", "n", "n")}, list: []listed{byIP, twin}},
		"a host's address is no container's": {
			place: place{hostname: "laptop", interfaces: []netip.Addr{netip.MustParseAddr("10.0.0.5")}},
			known: map[string]*inspected{idA: containerOn(idA, "x", "n", "n")}, list: []listed{byIP}, host: true},
		"known before, no list at hand": {
			place: place{hostname: "proxy", container: true}, before: idA,
			known: map[string]*inspected{idA: containerOn(idA, "proxy", "n", "n")}, want: idA, nets: []string{"n"}},
		"with the host's network": {
			place: place{hostname: "laptop", container: true, ids: []string{idA}},
			known: map[string]*inspected{idA: containerOn(idA, "laptop", "host", "host")}, want: idA, host: true, nets: []string{"host"}},
		"with another container's network": {
			place: place{hostname: "proxy", container: true, ids: []string{idA}},
			known: map[string]*inspected{idA: containerOn(idA, "proxy", "container:"+idB), idB: containerOn(idB, "vpn", "n", "n")}, want: idA, nets: []string{"n"}, lender: idB},
		"in a container of another engine": {place: place{hostname: idA[:12], container: true, ids: []string{idA}}},
		"the engine does not answer":       {place: place{hostname: idA[:12], container: true}, err: down, fails: true},
	} {
		self, lender, err := c.place.findSelf(t.Context(), fakeAsker{known: c.known, err: c.err}, c.list, c.before)
		if (err != nil) != c.fails {
			t.Errorf("%s: error %v", name, err)
		}
		var nets []string
		for _, n := range self.Networks {
			nets = append(nets, n.Name)
		}
		if self.ContainerID != c.want || self.InContainer != (c.want != "") || self.HostNetwork != c.host || !slices.Equal(nets, c.nets) || lender != c.lender {
			t.Errorf("%s: %+v, lender %q", name, self, lender)
		}
	}
}

func TestPublishedOnly(t *testing.T) {
	self, _, err := place{hostname: "mac"}.findSelf(t.Context(), fakeAsker{hidden: true}, nil, "")
	if err != nil || !self.PublishedOnly {
		t.Errorf("self %+v, error %v", self, err)
	}
}

func TestOwnIDs(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	other := strings.Repeat("fedcba9876543210", 4)
	for name, c := range map[string]struct {
		mountinfo, cgroup string
		want              []string
	}{
		"nothing": {"25 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "0::/\n", nil},
		"bind mounts of the engine": {
			"612 598 8:1 /var/lib/docker/containers/" + id + "/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda1 rw\n" +
				"613 598 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n", "0::/\n", []string{id}},
		"another container's files mounted": {
			"614 598 8:1 /var/lib/docker/containers/" + other + "/hostname /backup/hostname rw - ext4 /dev/sda1 rw\n", "", nil},
		"cgroup v1":       {"", "12:pids:/docker/" + id + "\n1:name=systemd:/docker/" + id + "\n", []string{id}},
		"cgroup systemd":  {"", "0::/system.slice/docker-" + id + ".scope\n", []string{id}},
		"a login session": {"", "0::/user.slice/user-1000.slice/session-2.scope\n", nil},
	} {
		if got := ownIDs(c.mountinfo, c.cgroup); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestEmbeddedResolver(t *testing.T) {
	for text, want := range map[string]bool{
		"nameserver 127.0.0.11\noptions ndots:0\n": true, "# comment\nnameserver 127.0.0.11": true,
		"nameserver 127.0.0.1\n": false, "#nameserver 127.0.0.11\n": false, "nameserver 127.0.0.111\n": false, "": false,
	} {
		if got := nameserver.MatchString(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
