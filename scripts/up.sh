#!/usr/bin/env bash
# Builds the images, starts the example of docker-compose.yml, waits until
# traffic flows through it, and says what to try next.
#
#   LB_PORT, LB_ADMIN_PORT   the published ports      10000, 9901
#   DOCKER_SOCKET            the socket to mount      that of the docker command
#   DOCKER_GID               the socket's group       found out
#
# What was chosen is written to .env, where Compose reads it: so the same
# docker-compose commands work by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

project=dockerlb
patience=30 # seconds until traffic must flow

say() { echo "$*"; }
fail() {
	echo "up: $*" >&2
	exit 1
}

# remembered NAME DEFAULT: the environment's value, else the last run's, else DEFAULT.
remembered() {
	local value=${!1:-}
	if [ -z "$value" ] && [ -f .env ]; then
		value=$(sed -n "s/^$1=//p" .env)
	fi
	echo "${value:-$2}"
}

# find_socket sets DOCKER_SOCKET to the path that the engine can mount, and
# DOCKER_GID to its group as a container sees it.
find_socket() {
	local host
	host=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || echo unix:///var/run/docker.sock)}
	if [ "$(uname -s)" = Darwin ]; then
		# The engine runs in a virtual machine, and mounts its own socket, root's.
		DOCKER_SOCKET=${DOCKER_SOCKET:-/var/run/docker.sock}
		DOCKER_GID=${DOCKER_GID:-0}
		return
	fi
	case $host in
	unix://*) DOCKER_SOCKET=${DOCKER_SOCKET:-${host#unix://}} ;;
	*)
		[ -n "${DOCKER_GID:-}" ] || fail "the engine is at $host: say the group of the socket there, DOCKER_GID=… make up"
		DOCKER_SOCKET=${DOCKER_SOCKET:-/var/run/docker.sock}
		return
		;;
	esac
	if [ -d "$DOCKER_SOCKET" ]; then
		fail "$DOCKER_SOCKET is a folder: Docker makes one where a mounted path does not exist. Remove it (sudo rmdir $DOCKER_SOCKET), start the engine again, or set DOCKER_SOCKET"
	fi
	[ -S "$DOCKER_SOCKET" ] || fail "$DOCKER_SOCKET is not a socket: set DOCKER_SOCKET to the engine's"
	if docker info --format '{{.SecurityOptions}}' 2>/dev/null | grep -q rootless; then
		DOCKER_GID=${DOCKER_GID:-0} # the user's own group, which is 0 inside
	else
		DOCKER_GID=${DOCKER_GID:-$(stat -c %g "$DOCKER_SOCKET")}
	fi
}

# holder PORT prints who listens on it; nothing where nobody does, or we do.
holder() {
	local ours container process
	ours=$(docker ps -q --filter "label=com.docker.compose.project=$project" --filter "publish=$1")
	[ -z "$ours" ] || return 0
	container=$(docker ps --filter "publish=$1" --format 'container {{.Names}} ({{.Image}})' | head -n 1)
	if [ -n "$container" ]; then
		echo "$container"
		return
	fi
	if command -v ss >/dev/null; then
		process=$(ss -Hltnp "sport = :$1" | head -n 1)
		[ -n "$process" ] || return 0
		process=$(sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (pid \2)/p' <<<"$process")
	elif command -v lsof >/dev/null; then
		process=$(lsof -nP -iTCP:"$1" -sTCP:LISTEN -Fpc 2>/dev/null | tr '\n' ' ' | sed -n 's/^p\([0-9]*\) c\([^ ]*\).*/\2 (pid \1)/p')
		[ -n "$process" ] || return 0
	elif ! (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
		return 0
	fi
	echo "${process:-another process}"
}

check_port() {
	local by
	by=$(holder "$2")
	[ -z "$by" ] || fail "port $2 is taken by $by. Stop it, or choose another port: $1=$(($2 + 1)) make up"
}

# explain_failure shows what the proxy says of itself.
explain_failure() {
	echo >&2
	scripts/compose ps >&2 || true
	scripts/compose logs --tail=20 lb >&2 || true
	fail "$1"
}

wait_for_traffic() {
	local until=$((SECONDS + patience)) answer
	while ! answer=$(curl -fsS --max-time 2 "http://localhost:$LB_PORT/" 2>/dev/null); do
		if [ -n "$(docker ps -aq --filter "label=com.docker.compose.project=$project" --filter label=com.docker.compose.service=lb --filter status=exited)" ]; then
			explain_failure "lb has ended: its last lines stand above"
		fi
		[ $SECONDS -lt $until ] || explain_failure "no traffic on port $LB_PORT after $patience s: lb's last lines stand above"
		sleep 0.1
	done
	say "$answer"
}

LB_PORT=$(remembered LB_PORT 10000)
LB_ADMIN_PORT=$(remembered LB_ADMIN_PORT 9901)
find_socket
check_port LB_PORT "$LB_PORT"
check_port LB_ADMIN_PORT "$LB_ADMIN_PORT"
cat >.env <<END
# Written by make up, removed by make down. Compose reads it.
COMPOSE_PROJECT_NAME=$project
LB_PORT=$LB_PORT
LB_ADMIN_PORT=$LB_ADMIN_PORT
DOCKER_SOCKET=$DOCKER_SOCKET
DOCKER_GID=$DOCKER_GID
END

"${MAKE:-make}" --no-print-directory images

say "starting lb (port $LB_PORT, admin 127.0.0.1:$LB_ADMIN_PORT) and two daemons"
if ! output=$(scripts/compose up -d --remove-orphans 2>&1); then
	echo "$output" >&2
	fail "Compose could not start the example"
fi
say "waiting for traffic on port $LB_PORT"
wait_for_traffic

compose="docker compose"
docker compose version >/dev/null 2>&1 || compose=docker-compose
try() { printf '  %-44s %s\n' "$1" "$2"; }
echo
echo "It runs. Try:"
try "curl localhost:$LB_PORT" "again and again: the two take turns"
try "$compose up -d --scale daemon=5" "five take turns; no file was changed"
try "$compose exec lb /lb list clusters" "what the proxy knows"
try "http://localhost:$LB_ADMIN_PORT/" "the same as a page"
try "make down" "removes it all"
