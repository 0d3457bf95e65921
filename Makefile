# The front door.  Everything real is in meson.build and tools/.
#
#   make          build the programs              build/release
#   make demo     see it work, against real servers
#   make check    everything that must pass before a change is taken
#   make lint     what is checked without building
#   make bench    measure
#   make spire    agents of a real SPIRE, built from source, act through writd
#   make fuzz     look for inputs that break a parser (FUZZ_SECONDS each)
#   make install  with DESTDIR and PREFIX

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
export WRIT_CARGO_TARGET ?= $(CURDIR)/build/cargo

.PHONY: all build demo check check-release check-clang check-asan bench lint \
	spire fuzz install setup clean

all: build

setup:
	@tools/setup.sh

build: setup
	@tools/build.sh release

demo: build
	@WRIT_BUILD=$(CURDIR)/build/release tools/demo/demo.py

# All parts run, one after another, even when one fails.
check:
	@tools/setup.sh check
	@status=0; for part in release clang asan; do \
		$(MAKE) --no-print-directory check-$$part || status=1; \
	done; exit $$status

check-release: build
	@meson test -C build/release --no-rebuild --print-errorlogs -t 2

check-clang: setup
	@tools/build.sh clang

check-asan: setup
	@tools/build.sh asan
	@meson test -C build/asan --no-rebuild --print-errorlogs -t 4 \
		--suite unit --suite fuzz

lint: setup
	@tools/lint.sh

bench: build
	@meson test -C build/release --no-rebuild --benchmark --verbose

# What cannot be built says so and is skipped.
spire: build
	@status=0; tests/spire/build.py $(CURDIR)/build/spire || status=$$?; \
	case $$status in \
	0) WRIT_BUILD=$(CURDIR)/build/release /usr/bin/python3 -m pytest -q \
		-p no:cacheprovider tests/spire;; \
	77) echo "spire: skipped";; \
	*) exit $$status;; \
	esac

fuzz: setup
	@tools/build.sh fuzz
	@tools/fuzz.sh $(FUZZ_SECONDS)

# Installs what `make` built, and builds nothing as root that is there already.
install:
	@test -d build/release || $(MAKE) --no-print-directory build
	@meson configure build/release -Dprefix=$(PREFIX)
	@meson install -C build/release $(if $(DESTDIR),--destdir $(DESTDIR))

clean:
	rm -rf build
