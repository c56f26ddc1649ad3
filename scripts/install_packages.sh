#!/usr/bin/env bash
# Installs the Debian packages that the named groups need and that are missing.
#   scripts/install_packages.sh build [test] [fuzz]
set -euo pipefail

packages_build=(g++ cmake ninja-build ccache pkg-config git ca-certificates
  libboost1.81-dev libboost-json1.81-dev libssl-dev libsqlite3-dev libicu-dev zlib1g-dev
  libcli11-dev libmimalloc-dev python3 python3-venv)
packages_test=(libgtest-dev curl openssl procps)
packages_fuzz=(clang libclang-rt-14-dev)

wanted=()
for group in "$@"; do
  case "$group" in
    build) wanted+=("${packages_build[@]}") ;;
    test)
      wanted+=("${packages_test[@]}")
      # Any Node.js will do for the client tests; the distribution's where there is none.
      command -v node >/dev/null && command -v npm >/dev/null || wanted+=(nodejs npm)
      ;;
    fuzz) wanted+=("${packages_fuzz[@]}") ;;
    *) echo "install_packages.sh: unknown group '$group' (build, test, fuzz)" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
    missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Run as root, or install: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
