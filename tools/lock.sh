#!/bin/sh
# Write the lock files: every version the tests ran with. Run it to move them on.
set -eu
cd "$(dirname "$0")/.."

# lock FILE WHAT...: install what is named into a new environment, and write down what that took.
lock() {
  file=$1
  shift
  python3 -m venv build/lock-venv
  build/lock-venv/bin/python -m pip install --quiet --upgrade pip
  build/lock-venv/bin/python -m pip install --quiet "$@"
  {
    echo "# Written by tools/lock.sh: the versions that the tests run with."
    build/lock-venv/bin/python -m pip freeze --exclude mainspring --exclude pip --exclude setuptools
  } > "$file"
  rm -rf build/lock-venv
}

lock requirements-dev.lock --group dev '.[postgres,s3]'
# The clients that tests/wire/client_script.py runs with: the newest one, and an old one.
lock requirements-mlflow-3.17.lock 'mlflow-skinny==3.17.*' scikit-learn pandas matplotlib skops optuna optuna-integration
lock requirements-mlflow-3.10.lock 'mlflow-skinny==3.10.*' scikit-learn pandas
