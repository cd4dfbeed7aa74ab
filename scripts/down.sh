#!/usr/bin/env bash
# Removes what make up made: the containers, their network, the images dockerlb
# and nt, and .env. The binaries stay in dist/ (make clean).
set -euo pipefail
cd "$(dirname "$0")/.."

project=dockerlb
if ! docker version >/dev/null 2>&1; then
	echo "down: no Docker Engine answers, so that nothing can be removed: $(docker version 2>&1 >/dev/null | tail -n 1)" >&2
	exit 1
fi
# The file wants a group, which does not matter any more.
export COMPOSE_PROJECT_NAME=$project DOCKER_GID=${DOCKER_GID:-0}
if ! output=$(scripts/compose down --remove-orphans 2>&1); then
	echo "$output" >&2
	exit 1
fi
for image in dockerlb nt; do
	if [ -n "$(docker images -q "$image")" ]; then
		docker rmi "$image" >/dev/null || echo "down: the image $image is still in use and stays" >&2
	fi
done
rm -f .env
echo "removed: the containers, their network, the images dockerlb and nt, and .env"
