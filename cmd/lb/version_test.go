package main

import (
	"runtime/debug"
	"testing"
)

func TestVersionFrom(t *testing.T) {
	vcs := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}}
	vcs.Main.Version = "v1.2.3"
	devel := &debug.BuildInfo{}
	devel.Main.Version = "(devel)"
	for _, tt := range []struct {
		linked, want string
		info         *debug.BuildInfo
	}{
		{"v9", "v9", vcs}, {"", "v1.2.3", vcs}, {"", "unknown", devel}, {"", "unknown", nil},
	} {
		if got := versionFrom(tt.linked, tt.info); got.Version != tt.want || got.Go == "" || got.Platform == "" {
			t.Errorf("%+v, want version %s", got, tt.want)
		}
	}
	if got := versionFrom("", vcs); got.Revision != "abc" || !got.Modified {
		t.Errorf("%+v", got)
	}
}
