package dockerwatch

import (
	"strconv"
	"strings"
)

// Linux's numbers: the engine's events carry the number of the container's
// platform, whatever machine we run on.
const (
	sigkill  = 9
	sigterm  = 15
	sigrtmin = 34
	sigrtmax = 64
)

// signalNumbers are Linux's signals (signal(7), x86 and ARM) by name without SIG.
var signalNumbers = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "IOT": 6,
	"BUS": 7, "FPE": 8, "KILL": sigkill, "USR1": 10, "SEGV": 11, "USR2": 12,
	"PIPE": 13, "ALRM": 14, "TERM": sigterm, "STKFLT": 16, "CHLD": 17, "CLD": 17,
	"CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23,
	"XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28, "IO": 29,
	"POLL": 29, "PWR": 30, "SYS": 31, "RTMIN": sigrtmin, "RTMAX": sigrtmax,
}

// parseSignal reads a signal as inspect (Config.StopSignal: a name, with or
// without SIG, RTMIN+n, RTMAX-n, or a number) or an event (a number) writes it.
// Zero: nothing, or nothing known.
func parseSignal(s string) int {
	s = strings.ToUpper(strings.TrimSpace(s))
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 || n > sigrtmax {
			return 0
		}
		return n
	}
	s = strings.TrimPrefix(s, "SIG")
	if n, ok := signalNumbers[s]; ok {
		return n
	}
	if tail, ok := strings.CutPrefix(s, "RTMIN+"); ok {
		return realtime(tail, sigrtmin, 1)
	}
	if tail, ok := strings.CutPrefix(s, "RTMAX-"); ok {
		return realtime(tail, sigrtmax, -1)
	}
	return 0
}

func realtime(offset string, from, direction int) int {
	n, err := strconv.Atoi(offset)
	if err != nil || n < 0 {
		return 0
	}
	n = from + direction*n
	if n < sigrtmin || n > sigrtmax {
		return 0
	}
	return n
}

// isStop tells whether a signal asks a container to end: SIGKILL, SIGTERM, or
// the container's own stop signal (own; zero where it is not known). SIGHUP and
// the like are business between its owner and itself.
func isStop(signal, own int) bool {
	return signal == sigkill || signal == sigterm || (own != 0 && signal == own)
}
