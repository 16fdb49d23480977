#!/bin/sh
# Install what the tests need from Debian: PostgreSQL, Chromium, what builds and runs images, a
# registry to keep them in, and shells whose tab key is tried.
# Does nothing where all of it is.
set -eu

missing=""
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="postgresql"
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
for tool in buildah podman runc mmdebstrap fuse-overlayfs docker-registry zsh fish; do
  command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "The tests need:$missing. Install them, then run make test again." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
export RUNLEVEL=1  # what is installed is not started: tests start their own
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
