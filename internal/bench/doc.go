// Package bench measures lb beside HAProxy, nginx and httputil.ReverseProxy.
//
// Everything runs on this machine, over loopback: two backends (nginx, one
// worker each, since it answers faster than any of the contenders can ask), the
// contenders, all of them up for the whole run, and wrk, which asks one of them
// at a time. A round asks each contender for each work once, and every ratio is
// of two figures of the same round: what else the machine does at that time
// weighs on both. The tables show the median of the rounds, and the smallest and
// the largest value, so that the noise is seen.
//
// CPU time is what the kernel accounts to a contender's processes, user and
// system (/proc/PID/stat), divided by the requests that wrk saw answered. It is
// the steadiest figure.
//
// Nothing is installed, nothing is stopped that was not started here, and what
// is started ends with the run.
package bench
