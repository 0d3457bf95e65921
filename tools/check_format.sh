#!/bin/sh
# Fails when clang-format 14 would change a C file: check_format.sh [ROOT]
set -eu

cd "${1:-$(dirname "$0")/..}"
format=$(command -v clang-format-14 || command -v clang-format) || {
	echo "clang-format is not installed" >&2
	exit 77
}
find src keeper connectors tests -name '*.[ch]' -print0 |
	xargs -0 "$format" --dry-run -Werror
