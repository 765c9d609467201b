#!/usr/bin/env bash
# Build the virtual environment of the ingestion benchmark's peers: benchmarks/peers/install_ingest.sh FOLDER
# It gets exactly the versions in ingest.txt beside this script. Needs `make install` first.
set -euo pipefail
folder=${1:?name the folder for the environment, outside the repository}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
uv=$here/../../.venv/bin/uv

"$uv" venv --quiet --allow-existing --python "$here/../../.venv/bin/python" "$folder/ingest"
"$uv" pip sync --quiet --python "$folder/ingest/bin/python" "$here/ingest.txt"
