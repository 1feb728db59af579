#!/usr/bin/env bash
# Fills records/gpu/wheels, where there is a package index, for a machine without one that has torch, torchvision and
# pytorch-lightning: the versions of .ci/requirements.txt. Its argument is that machine's Python, such as 3.12.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
there='torch|torchvision|triton|nvidia-.*|cuda-.*|pytorch-lightning|lightning-utilities|torchmetrics'
sed -n 's/^\([A-Za-z0-9._-]*\)==\([^ ;\\]*\).*/\1==\2/p' .ci/requirements.txt | grep -vE "^($there)==" |
  xargs python3 -m pip download -q --no-deps --only-binary=:all: --python-version "${1:?such as 3.12}" \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    -d records/gpu/wheels
