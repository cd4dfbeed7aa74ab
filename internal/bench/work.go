package bench

// work is one kind of load.
type work struct {
	key   string // to choose it by
	title string
	conns int
	path  string
	// lua is what wrk is told besides.
	lua string
	// targets are the issue's; none: reported only.
	targets []target
}

// target is what a ratio of lb to another is to be.
type target struct {
	figure figure
	to     []string // others; the best of them counts
	limit  float64
	least  bool // at least limit, else at most
}

var works = []work{
	{
		key: "small", title: "small GET (46 octets), 64 kept connections", conns: 64, path: "/",
		targets: []target{
			{cpuPerRequest, []string{nameHAProxy}, 1.05, false},
			{requestsPerSecond, []string{nameHAProxy}, 0.95, true},
			{cpuPerRequest, []string{nameReverse}, 0.25, false},
		},
	},
	{
		key: "64k", title: "64 KiB responses, 16 kept connections", conns: 16, path: "/file/64k",
		targets: []target{{requestsPerSecond, []string{nameHAProxy, nameNginx}, 1.2, true}},
	},
	{
		key: "1m", title: "1 MiB responses, 16 kept connections", conns: 16, path: "/file/1m",
		targets: []target{{requestsPerSecond, []string{nameHAProxy, nameNginx}, 1.2, true}},
	},
	{
		key: "1m200", title: "1 MiB responses, 200 at once", conns: 200, path: "/file/1m",
		targets: []target{{requestsPerSecond, []string{nameHAProxy, nameNginx}, 1.2, true}},
	},
	{
		key: "post", title: "POST of 16 KiB, 64 kept connections", conns: 64, path: "/",
		lua:     `wrk.method = "POST"; wrk.body = string.rep("x", 16384)`,
		targets: []target{{cpuPerRequest, []string{nameHAProxy}, 1, false}},
	},
	{
		key: "new", title: "small GET, a new connection for each, 64 at once", conns: 64, path: "/",
		lua:     `wrk.headers["Connection"] = "close"`,
		targets: []target{{cpuPerRequest, []string{nameHAProxy}, 1, false}},
	},
}
