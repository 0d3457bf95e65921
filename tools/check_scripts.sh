#!/bin/sh
# Fails when a script does not parse: check_scripts.sh [ROOT]
set -eu

cd "${1:-$(dirname "$0")/..}"
status=0

# Each shell script by the shell that its first line names.
for file in $(find . \( -name .git -o -path './build*' -o -name target \) \
	-prune -o \( -name '*.sh' -o -path './.ci/*' \) -type f -print); do
	case $(head -n 1 "$file") in
	*bash*) shell=bash ;;
	*) shell=sh ;;
	esac
	$shell -n "$file" || status=1
done

find . \( -name .git -o -path './build*' -o -name target \) -prune -o \
	-name '*.py' -print0 | xargs -0 /usr/bin/python3 -c '
import sys
failed = False
for path in sys.argv[1:]:
    try:
        compile(open(path, encoding="utf-8").read(), path, "exec")
    except (SyntaxError, ValueError) as error:
        print(f"{path}: {error}")
        failed = True
sys.exit(failed)' || status=1
exit $status
