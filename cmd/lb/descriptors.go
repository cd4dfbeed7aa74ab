package main

import (
	"syscall"

	"github.com/sirupsen/logrus"
)

// reservedDescriptors are for what is not a client's: listeners, the admin
// port's connections, the engine, DNS, health checks, logs.
const reservedDescriptors = 256

// connectionCap is how many downstream connections fit into a process's
// descriptors: each may need one more, to an endpoint. It is never more than
// was asked for, and 0, which is no limit, stays so.
func connectionCap(asked int, descriptors uint64) int {
	if asked == 0 {
		return 0
	}
	fit := uint64(1) // 0 would be no limit
	if descriptors >= reservedDescriptors+2 {
		fit = (descriptors - reservedDescriptors) / 2
	}
	if fit < uint64(asked) {
		return int(fit)
	}
	return asked
}

// openFiles is the limit in force; ok is false where it is not known. Go has
// raised the soft limit to the hard one by now.
func openFiles() (n uint64, ok bool) {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0, false
	}
	return uint64(l.Cur), true
}

// limitConnections lowers --max-connections to what descriptors allow: a cap
// that they do not reach protects nobody, since without a descriptor neither
// clients nor endpoints are connected.
func (o *runOptions) limitConnections(descriptors uint64) {
	o.limits.Connections = connectionCap(o.maxConnections, descriptors)
}

// tellConnections says what limitConnections did. Who asked for more is warned;
// the default is a guess.
func (o *runOptions) tellConnections(log *logrus.Logger, descriptors uint64) {
	level := logrus.InfoLevel
	if o.maxConnectionsGiven {
		level = logrus.WarnLevel
	}
	switch asked := o.maxConnections; {
	case asked == 0:
		log.Warnf("--max-connections 0: clients may take all of the %d open files (RLIMIT_NOFILE), and then no endpoint can be connected to either", descriptors)
	case o.limits.Connections < asked:
		log.Logf(level, "--max-connections %d does not fit into %d open files (RLIMIT_NOFILE), of which a client may need two: %d connections are accepted at most; for more raise the limit (ulimits.nofile in Compose, LimitNOFILE in systemd)",
			asked, descriptors, o.limits.Connections)
	}
}
