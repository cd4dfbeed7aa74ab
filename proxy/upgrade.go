package proxy

import "github.com/dockerlb/dockerlb/balancer"

func (ex *exchange) upgradeAllowed() bool { return false }

func (ex *exchange) switchProtocols(up *upConn) (failure, bool) {
	return failure{result: balancer.Protocol, reason: "protocol error", flag: FlagUPE}, false
}
