#!/usr/bin/env bash
# Proves and measures fastnst on a GPU, in LIMIT seconds at most (480): records/gpu/README.md. It needs torch and
# pytorch-lightning; other packages come from records/gpu/wheels, if carry.sh filled that.
#   records/gpu/run.sh [--output FOLDER] [--painting FILE --photos FOLDER] [--small] [--device cpu]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-python3}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
if compgen -G "$root/records/gpu/wheels/*.whl" > "$place/list"; then
  "$python" -m pip install -q --no-index --no-deps --no-compile --target "$place/site" "$root"/records/gpu/wheels/*.whl
fi
PYTHONPATH="$root:$place/site${PYTHONPATH:+:$PYTHONPATH}" timeout "${LIMIT:-480}" "$python" "$root/records/gpu/measure.py" "$@"
