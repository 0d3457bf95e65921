#!/bin/sh
# Everything that is checked without building: lint.sh [ROOT]
set -u

tools=$(cd "$(dirname "$0")" && pwd)
root=${1:-$tools/..}
failed=
for check in check_format.sh check_layers.py check_headers.py \
	check_modules.py check_scripts.sh; do
	if ! "$tools/$check" "$root"; then
		failed="$failed $check"
	fi
done
if [ -n "$failed" ]; then
	echo "lint: failed:$failed" >&2
	exit 1
fi
echo "lint: all is well"
