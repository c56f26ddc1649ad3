#!/usr/bin/env bash
# The real binary, the real models, the official clients.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=build/venv-test
requirements=tests/integration/requirements.txt
if [ ! -x $venv/bin/pytest ] || [ $requirements -nt $venv/.installed ]; then
  echo "Installing the official clients"
  python3 -m venv $venv
  $venv/bin/pip install --disable-pip-version-check --quiet -r $requirements
  touch $venv/.installed
fi
node=tests/integration/node
if [ ! -d $node/node_modules ] || [ $node/package-lock.json -nt $node/node_modules/.installed ]; then
  (cd $node && npm ci --silent --no-audit --no-fund)
  touch $node/node_modules/.installed
fi

exec $venv/bin/pytest -q tests/integration "$@"
