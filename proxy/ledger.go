//go:build !race

package proxy

const raceEnabled = false

func countBuffers(int64) {}
