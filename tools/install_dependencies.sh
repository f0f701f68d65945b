#!/bin/sh
# Installs the Debian packages that sparsevid is built from, as far as they are missing.
#   tools/install_dependencies.sh          to build and run
#   tools/install_dependencies.sh --test   and to test
#   tools/install_dependencies.sh --dev    and to develop: clang, its tools, sanitizers, fuzzers
set -eu

# Debian's oneDNN package for CMake asks for OpenCL.
build="g++ cmake ninja-build pkg-config python3
  libfmt-dev libspdlog-dev nlohmann-json3-dev libcli11-dev
  libdnnl-dev ocl-icd-opencl-dev
  libsentencepiece-dev libutf8proc-dev
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev"
test="libgtest-dev libgmock-dev"
dev="clang clang-format clang-tidy libclang-rt-14-dev libomp-dev llvm git"

case "${1:-}" in
  "") wanted="$build" ;;
  --test) wanted="$build $test" ;;
  --dev) wanted="$build $test $dev" ;;
  *)
    echo "usage: $0 [--test | --dev]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query > /dev/null; then
  echo "$0: expected Debian or one of its kin; install yourself what CMake does not find" >&2
  exit 0
fi

missing=""
for package in $wanted; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2> /dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo > /dev/null; then
    echo "$0: not root and no sudo; have someone install:$missing" >&2
    exit 1
  fi
  as_root="sudo"
fi
echo "installing:$missing"
$as_root apt-get -q update
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive \
  apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends $missing
