#!/bin/sh
# Builds the static library and puts it at a path: build.sh SOURCE OUTPUT.
# Without sanitizers or the C side's flags, which are not meant for Rust.
set -eu

source=$1
output=$2
target=${WRIT_CARGO_TARGET:-$source/target}
env -u RUSTFLAGS -u CFLAGS cargo build --quiet --release --locked \
	--manifest-path "$source/Cargo.toml" --target-dir "$target"
cp "$target/release/libwrit_cedar.a" "$output"
