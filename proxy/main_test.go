package proxy

import (
	"testing"

	"github.com/dockerlb/dockerlb/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m, buffersLeft) }
