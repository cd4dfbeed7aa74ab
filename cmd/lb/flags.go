package main

import (
	"time"

	"github.com/urfave/cli/v2"
)

// Categories of run's flags, in the order of the help.
const (
	catFile   = "Configuration file"
	catListen = "Listening"
	catDocker = "Docker"
	catLimits = "Limits"
	catEnd    = "The end"
	catLog    = "Log"
)

// runFlags is every flag of lb run. Each has an environment variable, LB_ and
// its name; Docker's own variables are honoured beside.
func runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, EnvVars: []string{"LB_CONFIG"}, Category: catFile,
			Usage: "`FILE` in Envoy's own language (a v3 bootstrap, YAML or JSON), read again when it changes and on SIGHUP; without --docker no engine is needed then"},
		&cli.StringSliceFlag{Name: "listen", EnvVars: []string{"LB_LISTEN"}, Category: catListen, Value: cli.NewStringSlice("0.0.0.0:10000"),
			Usage: "`[NAME=]IP:PORT` to accept requests on, may be repeated; without a name it is \"default\", where routes go that name no listener"},
		&cli.StringSliceFlag{Name: "trusted-proxies", EnvVars: []string{"LB_TRUSTED_PROXIES"}, Category: catListen,
			Usage: "`CIDR` of peers whose X-Forwarded-* headers are believed, may be repeated (default: nobody)"},
		&cli.IntFlag{Name: "trusted-hops", EnvVars: []string{"LB_TRUSTED_HOPS"}, Category: catListen,
			Usage: "`N` proxies in front, each of which appends to X-Forwarded-For: the client is its Nth address from the right, whoever the peer is, so that nobody may get past them; not together with --trusted-proxies"},
		&cli.BoolFlag{Name: "forwarded", EnvVars: []string{"LB_FORWARDED"}, Category: catListen,
			Usage: "send Forwarded (RFC 7239) to the endpoints, as well as X-Forwarded-*"},
		&cli.StringFlag{Name: "via", EnvVars: []string{"LB_VIA"}, Category: catListen,
			Usage: "`NAME` to put into Via (RFC 9110), of requests and responses: \"1.1 NAME\" (default: no Via)"},
		&cli.StringFlag{Name: "admin-listen", EnvVars: []string{"LB_ADMIN_LISTEN"}, Category: catListen, Value: "0.0.0.0:9901",
			Usage: "`IP:PORT` of the admin port; changes from anywhere but loopback need the token"},
		&cli.StringFlag{Name: "admin-token-file", EnvVars: []string{"LB_ADMIN_TOKEN_FILE"}, Category: catListen,
			Usage: "`FILE` with the token for changes through the admin port; or LB_ADMIN_TOKEN; if neither, one is made and logged"},
		&cli.StringSliceFlag{Name: "admin-host", EnvVars: []string{"LB_ADMIN_HOST"}, Category: catListen,
			Usage: "`NAME` with a dot under which the admin port is asked for, may be repeated (IP addresses, localhost and names without a dot always may)"},

		&cli.StringFlag{Name: "docker", EnvVars: []string{"LB_DOCKER", "DOCKER_HOST"}, Category: catDocker, DefaultText: "unix:///var/run/docker.sock",
			Usage: "`HOST` of the engine: unix:///PATH or tcp://HOST:PORT"},
		&cli.StringFlag{Name: "docker-tls-ca", EnvVars: []string{"LB_DOCKER_TLS_CA"}, Category: catDocker,
			Usage: "`FILE` with the CA of the engine's certificate (default: ca.pem in DOCKER_CERT_PATH)"},
		&cli.StringFlag{Name: "docker-tls-cert", EnvVars: []string{"LB_DOCKER_TLS_CERT"}, Category: catDocker,
			Usage: "`FILE` with our certificate (default: cert.pem in DOCKER_CERT_PATH)"},
		&cli.StringFlag{Name: "docker-tls-key", EnvVars: []string{"LB_DOCKER_TLS_KEY"}, Category: catDocker,
			Usage: "`FILE` with our key (default: key.pem in DOCKER_CERT_PATH)"},
		&cli.BoolFlag{Name: "docker-tls-verify", EnvVars: []string{"LB_DOCKER_TLS_VERIFY"}, Category: catDocker,
			Usage: "use TLS and verify the engine's certificate; also DOCKER_TLS_VERIFY, set to anything"},
		&cli.StringFlag{Name: "prefix", EnvVars: []string{"LB_PREFIX"}, Category: catDocker, Value: "lb",
			Usage: "what our labels begin with: `WORD`.cluster and so on"},
		&cli.StringFlag{Name: "instance", EnvVars: []string{"LB_INSTANCE"}, Category: catDocker,
			Usage: "our `NAME`, where several lb run on one engine: containers with another lb.instance are left alone"},
		&cli.DurationFlag{Name: "docker-resync", EnvVars: []string{"LB_DOCKER_RESYNC"}, Category: catDocker, Value: 15 * time.Second,
			Usage: "`TIME` between full lists, which find what the events missed"},
		&cli.StringSliceFlag{Name: "dns", EnvVars: []string{"LB_DNS"}, Category: catDocker,
			Usage: "`IP[:PORT]` of a resolver, may be repeated (default: those of /etc/resolv.conf)"},
		&cli.DurationFlag{Name: "dns-timeout", EnvVars: []string{"LB_DNS_TIMEOUT"}, Category: catDocker, Value: time.Second,
			Usage: "`TIME` for one question to one resolver about a container"},

		&cli.IntFlag{Name: "max-connections", EnvVars: []string{"LB_MAX_CONNECTIONS"}, Category: catLimits, Value: 65536,
			Usage: "`N` downstream connections at most, of all listeners; fewer where RLIMIT_NOFILE, the limit of open files, leaves less than two for each after 256 for the rest; 0: no limit"},
		&cli.StringFlag{Name: "max-head", EnvVars: []string{"LB_MAX_HEAD"}, Category: catLimits, Value: "60KiB",
			Usage: "`SIZE` of a request's head at most: else 431"},
		&cli.IntFlag{Name: "max-head-fields", EnvVars: []string{"LB_MAX_HEAD_FIELDS"}, Category: catLimits, Value: 100,
			Usage: "`N` header fields of a request at most: else 431"},
		&cli.StringFlag{Name: "max-target", EnvVars: []string{"LB_MAX_TARGET"}, Category: catLimits, Value: "8KiB",
			Usage: "`SIZE` of a request's path and query at most: else 414"},
		&cli.StringFlag{Name: "max-body", EnvVars: []string{"LB_MAX_BODY"}, Category: catLimits, Value: "0",
			Usage: "`SIZE` of a request's body at most: else 413; 0: no limit"},
		&cli.StringFlag{Name: "max-replay", EnvVars: []string{"LB_MAX_REPLAY"}, Category: catLimits, Value: "64KiB",
			Usage: "`SIZE` of a request's body that is kept for a retry"},
		&cli.IntFlag{Name: "max-idle-upstream", EnvVars: []string{"LB_MAX_IDLE_UPSTREAM"}, Category: catLimits, Value: 512,
			Usage: "`N` idle connections that are kept to each endpoint"},
		&cli.DurationFlag{Name: "head-timeout", EnvVars: []string{"LB_HEAD_TIMEOUT"}, Category: catLimits, Value: 10 * time.Second,
			Usage: "`TIME` for a request's head, from its first octet"},
		&cli.DurationFlag{Name: "idle-timeout", EnvVars: []string{"LB_IDLE_TIMEOUT"}, Category: catLimits, Value: time.Hour,
			Usage: "`TIME` that a kept connection may wait for its next request"},
		&cli.DurationFlag{Name: "stream-idle-timeout", EnvVars: []string{"LB_STREAM_IDLE_TIMEOUT"}, Category: catLimits, Value: 5 * time.Minute,
			Usage: "`TIME` that may pass within a request without an octet in either direction"},
		&cli.DurationFlag{Name: "tunnel-idle-timeout", EnvVars: []string{"LB_TUNNEL_IDLE_TIMEOUT"}, Category: catLimits, Value: time.Hour,
			Usage: "`TIME` that may pass on an upgraded connection (WebSocket) without an octet; through a listener of the file it is stream_idle_timeout"},
		&cli.StringFlag{Name: "half-close", EnvVars: []string{"LB_HALF_CLOSE"}, Category: catLimits, Value: "1s",
			Usage: "`TIME` that a request goes on whose client has closed its side; 0: it is gone at once; off: serve it to the end"},

		&cli.DurationFlag{Name: "drain-delay", EnvVars: []string{"LB_DRAIN_DELAY"}, Category: catEnd,
			Usage: "`TIME` after SIGTERM in which new requests are still taken, while /ready says 503 and connections are told to close: for a balancer in front"},
		&cli.DurationFlag{Name: "shutdown-timeout", EnvVars: []string{"LB_SHUTDOWN_TIMEOUT"}, Category: catEnd, Value: 9 * time.Second,
			Usage: "`TIME` for what is in flight after that; Docker kills 10 s after its SIGTERM unless stop_grace_period says otherwise"},

		&cli.BoolFlag{Name: "takeover", EnvVars: []string{"LB_TAKEOVER"}, Category: catEnd,
			Usage: "take the listening sockets over from the lb that runs, if one does, and let the next one take over from this (Linux)"},
		&cli.StringFlag{Name: "takeover-socket", EnvVars: []string{"LB_TAKEOVER_SOCKET"}, Category: catEnd,
			DefaultText: "/run/lb.sock for root, else $XDG_RUNTIME_DIR/lb.sock", Usage: "`PATH` of the unix socket of --takeover; only the same user and root can use it"},
		&cli.DurationFlag{Name: "takeover-timeout", EnvVars: []string{"LB_TAKEOVER_TIMEOUT"}, Category: catEnd, Value: time.Minute,
			Usage: "`TIME` for a new lb to know all that it needs; if it does not, it ends and the running one goes on"},

		&cli.StringFlag{Name: "log-level", EnvVars: []string{"LB_LOG_LEVEL"}, Category: catLog, Value: "info",
			Usage: "`LEVEL`: trace, debug, info, warning or error"},
		&cli.StringFlag{Name: "log-format", EnvVars: []string{"LB_LOG_FORMAT"}, Category: catLog, Value: "text",
			Usage: "`FORMAT`: text or json"},
		&cli.StringFlag{Name: "access-log", EnvVars: []string{"LB_ACCESS_LOG"}, Category: catLog, DefaultText: "off",
			Usage: "`FILE` that a line for each request is appended to, opened anew on SIGUSR1; - is standard output"},
		&cli.StringFlag{Name: "access-log-format", EnvVars: []string{"LB_ACCESS_LOG_FORMAT"}, Category: catLog, Value: "text",
			Usage: "`FORMAT`: text, which is Envoy's default line, or json"},
	}
}
