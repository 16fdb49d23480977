#!/bin/sh
# Write requirements-dev.lock: every version the tests ran with. Run it to move them on.
set -eu
cd "$(dirname "$0")/.."
python3 -m venv build/lock-venv
build/lock-venv/bin/python -m pip install --quiet --upgrade pip
build/lock-venv/bin/python -m pip install --quiet --group dev '.[postgres]'
{
  echo "# Written by tools/lock.sh: the versions that the tests run with."
  build/lock-venv/bin/python -m pip freeze --exclude mainspring --exclude pip --exclude setuptools
} > requirements-dev.lock
rm -rf build/lock-venv
