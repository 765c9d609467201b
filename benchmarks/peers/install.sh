#!/usr/bin/env bash
# Build the peers' virtual environments: benchmarks/peers/install.sh FOLDER
# Each gets exactly the versions in the NAME.txt beside this script; about 7 GB together. Needs `make install` first.
set -euo pipefail
folder=${1:?name the folder for the environments, outside the repository}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
uv=$here/../../.venv/bin/uv

for peer in ms_swift trl; do
    "$uv" venv --quiet --allow-existing --python "$here/../../.venv/bin/python" "$folder/$peer"
    "$uv" pip sync --quiet --python "$folder/$peer/bin/python" "$here/$peer.txt"
done
