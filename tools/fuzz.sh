#!/bin/sh
# Runs every fuzz target of build/fuzz for some time: fuzz.sh [SECONDS] [NAME...]
# What breaks one is kept in build/fuzz/finds; the corpus of the tree is read
# and not written.
set -eu

cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
finds=$PWD/build/fuzz/finds
mkdir -p "$finds"
status=0

for target in $(find build/fuzz/tests/fuzz -type f -name 'fuzz_*' -perm -u+x |
	sort); do
	name=${target##*/fuzz_}
	case " $* " in
	"  " | *" $name "*) ;;
	*) continue ;;
	esac
	grown=build/fuzz/corpus/$name
	mkdir -p "$grown"
	seeds=tests/fuzz/corpus/$name
	[ -d "$seeds" ] || seeds=
	echo "fuzz: $name for $seconds s"
	# shellcheck disable=SC2086 # no seeds, no argument
	"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=0 -verbosity=0 \
		-artifact_prefix="$finds/$name-" "$grown" $seeds || {
		echo "fuzz: $name failed, see $finds" >&2
		status=1
	}
done
exit $status
