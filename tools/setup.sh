#!/bin/sh
# Sees that everything needed to build and test is there, and installs missing
# Debian packages when it may (as root, or with sudo).  Quick when all is there.
set -eu

packages='meson ninja-build pkg-config gcc libc6-dev clang clang-format
libclang-rt-14-dev libmicrohttpd-dev libgnutls28-dev libjansson-dev libyaml-dev
libssl-dev libsqlite3-dev libldap-dev libpq-dev libjemalloc-dev
libcurl4-openssl-dev libcmocka-dev libseccomp-dev slapd ldap-utils sqlite3
openssl openssh-client openssh-server postgresql-15 python3-pytest
python3-cryptography python3-yaml tzdata ca-certificates'
rust_least=1.89

# For `setup.sh check` alone: the servers and libraries that stand on the other
# side of tests, and what makes system calls fail and cuts the power of a disk.
# Without them their tests say so and are skipped.
check_packages='python3-jwt python3-authlib python3-requests golang-go
golang-golang-x-mod-dev samba-ad-dc samba-ad-provision winbind strace e2fsprogs'

# Debian's packages of Rust for web browsers are the ones that are new enough.
rust_packages='rustc-web cargo-web'

version_at_least() { # FOUND WANTED
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

rust_is_there() {
	command -v cargo >/dev/null 2>&1 || return 1
	found=$(rustc --version 2>/dev/null | cut -d ' ' -f 2)
	[ -n "$found" ] && version_at_least "$found" "$rust_least"
}

# Those of the named packages that are not installed.
missing_of() {
	dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
		awk -v wanted="$*" '
			$2 == "installed" { there[$1] = 1 }
			END {
				n = split(wanted, names, /[ \n]+/)
				for (i = 1; i <= n; i++)
					if (names[i] && !(names[i] in there))
						printf "%s ", names[i]
			}'
}

not_debian() {
	for program in meson ninja gcc clang pkg-config cargo /usr/bin/python3; do
		command -v "$program" >/dev/null 2>&1 || {
			echo "setup: $program is missing. This machine is not" \
				"Debian: install what these packages hold:" \
				$packages "and Rust $rust_least" >&2
			exit 1
		}
	done
	exit 0
}

may_install() {
	[ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null ||
		{ [ -t 0 ] && command -v sudo >/dev/null 2>&1; }
}

# While it installs, services are kept from starting: the tests run a slapd of
# their own in a folder of their own, and the system's is nobody's wish.
install_packages() {
	as_root=
	[ "$(id -u)" -eq 0 ] || as_root=sudo
	policy=/usr/sbin/policy-rc.d
	echo "setup: installing $*"
	$as_root sh -eu -c '
		policy=$1
		shift
		if ! [ -e "$policy" ]; then
			trap "rm -f $policy" EXIT
			printf "#!/bin/sh\nexit 101\n" >"$policy"
			chmod 755 "$policy"
		fi
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -q
		apt-get install -q -y --no-install-recommends "$@"
	' sh "$policy" "$@"
}

# What only some tests need, where it may be installed.
install_for_check() {
	# shellcheck disable=SC2086 # lists of words
	missing=$(missing_of $check_packages)
	[ -n "$missing" ] || return 0
	if may_install; then
		# shellcheck disable=SC2086
		install_packages $missing
	else
		echo "setup: some tests will be skipped without $missing" >&2
	fi
}

command -v dpkg-query >/dev/null 2>&1 || not_debian
[ "${1:-}" != check ] || install_for_check

# shellcheck disable=SC2086 # lists of words
missing=$(missing_of $packages)
rust_is_there || missing="$missing$rust_packages"
[ -n "$missing" ] || exit 0

if ! may_install; then
	echo "setup: these packages are missing; install them with" >&2
	echo "  sudo apt-get install --no-install-recommends $missing" >&2
	exit 1
fi
# shellcheck disable=SC2086
install_packages $missing
hash -r
rust_is_there || {
	echo "setup: Rust $rust_least or newer is needed, found" \
		"$(rustc --version 2>/dev/null || echo none)" >&2
	exit 1
}
