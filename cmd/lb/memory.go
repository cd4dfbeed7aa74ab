package main

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"
)

// memoryLimitFiles say how much memory the container may use: cgroup v2, then
// v1. Elsewhere neither is there.
var memoryLimitFiles = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// limitMemory tells the garbage collector of the container's limit, so that a
// burst makes it work harder instead of getting the process killed. A tenth is
// left for what is not Go's: kernel buffers count too. GOMEMLIMIT wins.
func limitMemory(log *logrus.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := containerMemory(memoryLimitFiles); limit > 0 {
		debug.SetMemoryLimit(limit / 10 * 9)
		log.WithField("bytes", limit).Debug("the container's memory limit")
	}
}

// containerMemory is the limit in bytes; 0: none.
func containerMemory(files []string) int64 {
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err != nil || n <= 0 || n >= math.MaxInt64/2 { // "max", or v1's huge number
			return 0
		}
		return n
	}
	return 0
}
