#!/bin/sh
# uv while an image is built; it reads none of pip's settings, so an index that the base image's pip has is passed on.
set -eu
index=$(python3 -m pip config get global.index-url 2>/dev/null || true)
[ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
exec /opt/uv/bin/uv "$@"
