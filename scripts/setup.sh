#!/usr/bin/env bash
# Makes this machine ready: Go's modules, a Docker Engine that answers, Compose,
# and the tools that are asked for. Silent where all is there. What is missing
# is installed where that can be done (root, apt), each step said; elsewhere it
# is named, with the command that brings it, and the exit code is 1.
#
#   setup.sh [no-go] [tool...]    no-go: Go is not needed
set -euo pipefail
cd "$(dirname "$0")/.."

# The oldest Go that builds this, from go.mod: 1.26
go_wanted=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' go.mod)
engine_log=${TMPDIR:-/tmp}/dockerd.log
missing=()

say() { echo "setup: $*" >&2; }
lack() { missing+=("$*"); }
have() { command -v "$1" >/dev/null 2>&1; }
can_install() { [ "$(id -u)" = 0 ] && have apt-get; }

apt_updated=
apt_install() {
	export DEBIAN_FRONTEND=noninteractive
	if [ -z "$apt_updated" ]; then
		apt-get -qq update >&2 || say "apt-get update failed; trying with the lists that are here"
		apt_updated=1
	fi
	apt-get -qq install -y "$@" >&2
}

# need COMMAND APT_PACKAGE HOW: HOW is what to do where apt cannot.
need() {
	have "$1" && return
	if can_install; then
		say "installing $2 (for $1)"
		apt_install "$2" && have "$1" && return
	fi
	lack "$1 is missing: $3"
}

# how WORD: the command that installs a package of that name on this system.
how() {
	if have brew; then
		echo "brew install $1"
	elif have dnf; then
		echo "sudo dnf install $1"
	else
		echo "sudo apt-get install $1"
	fi
}

setup_go() {
	if ! have go; then
		lack "go is missing: Go $go_wanted or newer from https://go.dev/dl/ (without it: docker build -t dockerlb .)"
		return
	fi
	local version
	version=$(go env GOVERSION) && version=${version#go}
	if [ "$(printf '%s\n' "$go_wanted" "$version" | sort -V | head -n 1)" != "$go_wanted" ]; then
		lack "go is $version: Go $go_wanted or newer from https://go.dev/dl/"
		return
	fi
	# All that a build, a test or the lint tool imports.
	local all=(./... honnef.co/go/tools/cmd/staticcheck)
	if ! GOFLAGS="${GOFLAGS:-} -mod=readonly" GOPROXY=off go list -deps -test "${all[@]}" >/dev/null 2>&1; then
		say "fetching Go modules"
		go mod download || lack "Go's modules could not be fetched: go mod download (is there a proxy? go env GOPROXY)"
	fi
}

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

start_engine() {
	if have systemctl && systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; then
		say "starting the Docker Engine: systemctl start docker"
		systemctl start docker >&2 || return
	else
		say "starting the Docker Engine: dockerd (its log: $engine_log)"
		setsid nohup dockerd >"$engine_log" 2>&1 </dev/null &
	fi
	for _ in $(seq 60); do
		engine_answers && return
		sleep 0.5
	done
	return 1
}

setup_engine() {
	case $(uname -s) in
	Darwin) need docker docker.io "Docker Desktop, or: brew install colima docker docker-compose && colima start" ;;
	*) need docker docker.io "https://docs.docker.com/engine/install/, or: $(how docker.io)" ;;
	esac
	have docker || return 0
	engine_answers && return
	local problem
	problem=$(docker version 2>&1 >/dev/null | tail -n 1) || true # it fails: that is why
	case $problem in
	*"permission denied"*)
		lack "the Docker Engine's socket may not be opened by $(id -un): sudo usermod -aG docker $(id -un), then log in again"
		return
		;;
	esac
	if [ -n "${DOCKER_HOST:-}" ]; then
		lack "no Docker Engine answers at DOCKER_HOST=$DOCKER_HOST: $problem"
	elif [ "$(uname -s)" = Darwin ]; then
		lack "no Docker Engine answers: open -a Docker (Docker Desktop), or colima start"
	elif [ "$(id -u)" != 0 ]; then
		lack "no Docker Engine answers: sudo systemctl start docker"
	else
		if ! have dockerd && can_install; then
			say "installing docker.io (for dockerd)"
			apt_install docker.io || true
		fi
		if ! have dockerd; then
			lack "no Docker Engine is here: $(how docker.io)"
		elif ! start_engine; then
			tail -n 5 "$engine_log" >&2 2>/dev/null || true
			lack "the Docker Engine does not start: see $engine_log"
		fi
	fi
}

setup_compose() {
	docker compose version >/dev/null 2>&1 && return
	need docker-compose docker-compose "https://docs.docker.com/compose/install/, or: $(how docker-compose)"
}

wants_go=1
if [ "${1:-}" = no-go ]; then
	wants_go=
	shift
fi
if [ -n "$wants_go" ]; then setup_go; fi
setup_engine
setup_compose
for tool in "$@"; do
	package=$tool
	if [ "$tool" = ip ]; then
		# Only the tests that start an engine of their own use it, on Linux.
		[ "$(uname -s)" = Linux ] || continue
		package=iproute2
	fi
	need "$tool" "$package" "$(how "$package")"
done

if [ "${#missing[@]}" -gt 0 ]; then
	for m in "${missing[@]}"; do say "$m"; done
	exit 1
fi
