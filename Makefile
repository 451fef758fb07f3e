# novnc-gate: `make help` lists the targets.

VERSION = 0.1.0

PREFIX = /usr/local
SYSCONFDIR = /etc
DESTDIR =

CFLAGS = -O2 -g
PKG_CONFIG = pkg-config

# The Debian packages, each list in one place; A|B is either of the two. What the demo and the
# browser tests need stands beside them.
BUILD_PACKAGES = gcc libc6-dev pkgconf libssl-dev libsystemd-dev libllhttp-dev|node-llhttp
CHECK_PACKAGES = check valgrind libc6-dbg python3 python3-pytest python3-pytest-xdist \
	clang clang-format mandoc systemd systemd-container libpam-systemd dbus
list = $(shell sed 's/\#.*//' $(wildcard $1))
DEMO_PACKAGES = $(call list,tests/demo/packages)
BROWSER_PACKAGES = $(DEMO_PACKAGES) $(call list,tests/browser/packages)

# ---- flags. Recursive on purpose: pkg-config is asked after the packages have been installed.

WARNINGS = -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wconversion
HARDENING = -fPIE -fstack-protector-strong
FORTIFY = $(if $(filter -O1 -O2 -O3 -Os -Og,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

LLHTTP_CFLAGS = -DLLHTTP_STRICT_MODE=1 \
	$(shell $(PKG_CONFIG) --cflags libllhttp 2>/dev/null || echo -I/usr/share/include/llhttp)
LLHTTP_LIBS = $(shell $(PKG_CONFIG) --libs libllhttp 2>/dev/null)

# $(FLAVOUR) is FORTIFY or SANITIZERS, by directory.
our_cflags = -std=gnu11 -D_GNU_SOURCE -DNOVNC_GATE_VERSION='"$(VERSION)"' \
	-DNOVNC_GATE_CONF='"$(SYSCONFDIR)/novnc-gate.conf"' \
	$(LLHTTP_CFLAGS) $(shell $(PKG_CONFIG) --cflags libsystemd libcrypto) \
	$(WARNINGS) $(HARDENING) -ffunction-sections -fdata-sections $(FLAVOUR)
our_ldflags = $(FLAVOUR) -pie -Wl,-z,relro,-z,now -Wl,--gc-sections
# Of libcrypto only SHA-1, from the archive: the shared library would cost each process more than
# all of the gate's own start.
our_libs = $(LLHTTP_LIBS) $(shell $(PKG_CONFIG) --libs-only-L libcrypto) -l:libcrypto.a

compile = $(CC) $(our_cflags) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
link = $(CC) $(our_ldflags) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(our_libs) $(LDLIBS)
link_test = $(link) $(shell $(PKG_CONFIG) --libs check)

# ---- what is built: build/ as it is shipped, build/san/ with ASan and UBSan

SOURCES = $(wildcard src/*.c)
TESTS = $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
objects = $(SOURCES:src/%.c=$1/%.o) $1/llhttp.a
parts = $(filter-out %/main.o,$(call objects,$1))
UNIT_TESTS = $(TESTS:%=build/%)
SAN_UNIT_TESTS = $(TESTS:%=build/san/%)

all: build/novnc-gate

build/%: FLAVOUR = $(FORTIFY)
build/san/%: FLAVOUR = $(SANITIZERS)

build/novnc-gate: $(call objects,build)
	$(link)
build/san/novnc-gate: $(call objects,build/san)
	$(link)

$(UNIT_TESTS): build/test_%: build/test_%.o $(call parts,build)
	$(link_test)
$(SAN_UNIT_TESTS): build/san/test_%: build/san/test_%.o $(call parts,build/san)
	$(link_test)

build/%.o: src/%.c Makefile | build-packages build/san
	$(compile)
build/san/%.o: src/%.c Makefile | build-packages build/san
	$(compile)
build/test_%.o: tests/test_%.c Makefile | build-packages check-packages build/san
	$(compile) -Isrc
build/san/test_%.o: tests/test_%.c Makefile | build-packages check-packages build/san
	$(compile) -Isrc

# node-llhttp's sources, without our warnings; empty where the system has llhttp as a library.
build/llhttp.a build/san/llhttp.a: Makefile | build-packages build/san
	rm -rf $@ $(@D)/llhttp && mkdir $(@D)/llhttp
	$(PKG_CONFIG) --exists libllhttp || { cd $(@D)/llhttp && $(CC) $(LLHTTP_CFLAGS) $(HARDENING) \
		-ffunction-sections $(FLAVOUR) $(CPPFLAGS) $(CFLAGS) -c /usr/share/llhttp/*.c; }
	cd $(@D) && $(AR) rcs llhttp.a $$(find llhttp -name '*.o')

build/san:
	mkdir -p $@

-include $(wildcard build/*.d build/san/*.d)

# ---- packages: demo, check and deps install what they need, all else only names it

installing = $(if $(filter demo check check-long deps,$(MAKECMDGOALS)),--install)

build-packages:
	@tests/need $(installing) 'to build novnc-gate' $(foreach p,$(BUILD_PACKAGES),'$p')
check-packages: build-packages
	@tests/need $(installing) 'to run its tests' $(CHECK_PACKAGES)
demo-packages: build-packages
	@tests/need $(installing) 'to run the demo' $(DEMO_PACKAGES)
browser-packages: check-packages
	@tests/need $(installing) 'to run the browser tests' $(BROWSER_PACKAGES)

deps: browser-packages

# ---- tests

# One part after the other, cheap ones first; with SAN=1 the unit and end-to-end tests alone, on
# the build with sanitizers.
ifdef SAN
check: check-packages $(SAN_UNIT_TESTS) build/san/novnc-gate
	tests/run san e2e-san
else
check: deps all $(UNIT_TESTS) $(SAN_UNIT_TESTS)
	tests/run unit san valgrind lint e2e systemd browser
endif

clean:
	rm -rf build

help:
	@echo 'make [all]       build build/novnc-gate'
	@echo 'make check       all tests; SAN=1: unit and end-to-end tests with ASan and UBSan'
	@echo 'make clean       remove build/'

.PHONY: all check clean deps help build-packages check-packages demo-packages browser-packages
.DELETE_ON_ERROR:
