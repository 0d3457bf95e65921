#!/bin/sh
# Builds everything in one of the build folders: build.sh release|clang|asan|fuzz
set -eu

cd "$(dirname "$0")/.."
kind=${1:-release}
folder=build/$kind
# One build of the Rust engine serves all folders.
WRIT_CARGO_TARGET=${WRIT_CARGO_TARGET:-$PWD/build/cargo}
export WRIT_CARGO_TARGET

case $kind in
release)
	compiler=gcc
	set -- ;;
clang)
	compiler=clang
	set -- ;;
asan)
	compiler=clang
	set -- -Db_sanitize=address,undefined -Db_lundef=false ;;
fuzz)
	compiler=clang
	set -- -Dfuzz=true -Db_lundef=false \
		-Dc_args=-fsanitize=fuzzer-no-link,address,undefined \
		-Dc_link_args=-fsanitize=address,undefined ;;
*)
	echo "usage: build.sh release|clang|asan|fuzz" >&2
	exit 2 ;;
esac

if ! [ -f "$folder/build.ninja" ]; then
	CC=$compiler meson setup "$folder" "$@"
fi
exec ninja -C "$folder"
