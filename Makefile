# novnc-gate: `make help` lists the targets.

VERSION := $(shell sed -n '1s/.*(\(.*\)).*/\1/p' units/debian/changelog)

PREFIX = /usr/local
SYSCONFDIR = /etc
DESTDIR =

CFLAGS = -O2 -g
PKG_CONFIG = pkg-config

all: build/novnc-gate build/novnc-gate-dynamic build/novnc-gate-tls.so build/novnc-gatectl

# ---- Debian packages: A|B is either of the two

BUILD_PACKAGES = gcc libc6-dev pkgconf libssl-dev libseccomp-dev libmd-dev \
	libllhttp-dev|node-llhttp libsystemd-dev libjansson-dev
CHECK_PACKAGES = check valgrind libc6-dbg python3 python3-pytest python3-pytest-xdist \
	openssl curl clang clang-format shellcheck mandoc groff-base systemd systemd-container libpam-systemd \
	dbus iproute2 strace haproxy lintian
ARCHIVE_PACKAGES = git xz-utils
DEB_PACKAGES = build-essential debhelper dpkg-dev
CHECK_LONG_PACKAGES = mmdebstrap testssl.sh debootstrap piuparts git qemu-system-x86 busybox-static cpio kmod xz-utils
DEMO_PACKAGES = $(call listed_in,tests/demo/packages)
BROWSER_PACKAGES = $(DEMO_PACKAGES) $(call listed_in,tests/browser/packages)
BENCH_PACKAGES = $(call listed_in,tests/bench/packages)
listed_in = $(shell cat $(wildcard $1) /dev/null | sed 's/\#.*//')

# demo, check and deps install what is missing; every other target prints the apt-get line that does.
may_install = $(if $(filter demo check deps,$(MAKECMDGOALS)),--install)
# $(call need,PURPOSE,PACKAGES)
need = @tests/need $(may_install) 'to $1' $(foreach package,$2,'$(package)')

packages-for-build:
	$(call need,build novnc-gate,$(BUILD_PACKAGES))
packages-for-deb: $(if $(may_install),packages-for-build)
	$(call need,make the Debian package,$(BUILD_PACKAGES) $(ARCHIVE_PACKAGES) $(DEB_PACKAGES))
packages-for-archive: $(if $(may_install),packages-for-deb)
	$(call need,make the archive,$(ARCHIVE_PACKAGES))
packages-for-suite:
	$(call need,make a Debian package,$(ARCHIVE_PACKAGES) mmdebstrap)
packages-for-check: packages-for-build packages-for-deb
	$(call need,run its tests,$(CHECK_PACKAGES))
packages-for-demo: packages-for-build
	$(call need,run the demo,$(DEMO_PACKAGES))
packages-for-browser: packages-for-check
	$(call need,run the browser tests,$(BROWSER_PACKAGES))
packages-for-check-long: packages-for-browser
	$(call need,run the long tests,$(CHECK_LONG_PACKAGES))
packages-for-bench: packages-for-build
	$(call need,run the bench,$(BENCH_PACKAGES))

deps: packages-for-check-long packages-for-bench build/bench/debian

# ---- flags. They are expanded when a recipe runs: pkg-config is asked after the packages were installed.

WARNINGS = -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wconversion
HARDENING = -fstack-protector-strong
FORTIFY = $(if $(filter -O1 -O2 -O3 -Os -Og,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
# The sanitizers make system calls of their own, which the sandbox would forbid.
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
	-DNOVNC_GATE_UNCONFINED

LLHTTP_CFLAGS = -DLLHTTP_STRICT_MODE=1 \
	$(shell $(PKG_CONFIG) --cflags libllhttp 2>/dev/null || echo -I/usr/share/include/llhttp)
# The archive, for the program that is linked statically.
LLHTTP_LIBS = $(patsubst -lllhttp,$(if $(wildcard $(llhttp_libdir)/libllhttp.a),-l:libllhttp.a,-lllhttp), \
	$(shell $(PKG_CONFIG) --libs libllhttp 2>/dev/null))
llhttp_libdir = $(shell $(PKG_CONFIG) --variable=libdir libllhttp 2>/dev/null)

# These three depend on the target.
position_flags = -fPIE
variant_flags = $(FORTIFY)
link_mode = -pie

gate_cflags = -std=gnu11 -D_GNU_SOURCE -DNOVNC_GATE_VERSION='"$(VERSION)"' \
	-DNOVNC_GATE_CONF='"$(SYSCONFDIR)/novnc-gate.conf"' \
	$(LLHTTP_CFLAGS) $(shell $(PKG_CONFIG) --cflags libcrypto libmd libseccomp) \
	-iquote src -iquote build $(WARNINGS) $(position_flags) $(HARDENING) \
	-ffunction-sections -fdata-sections $(variant_flags)
gate_ldflags = $(variant_flags) -Wl,-z,relro,-z,now -Wl,--gc-sections
# SHA-1 is from libmd's archive, which costs nothing at the start. OpenSSL's libcrypto executes CPUID before
# main(), and in a virtual machine each CPUID causes an exit to the hypervisor.
gate_libs = $(LLHTTP_LIBS) $(shell $(PKG_CONFIG) --libs-only-L libmd) -l:libmd.a

compile_command = $(CC) $(gate_cflags) $(CPPFLAGS) $(CFLAGS)
define compile
@mkdir -p $(@D)
$(compile_command) -MMD -MP -c -o $@ $<
endef
link = $(CC) $(gate_ldflags) $(CFLAGS) $(LDFLAGS) $(link_mode) -o $@ $(filter %.o %.a,$^) $(gate_libs) $(LDLIBS)
link_tls_module = $(CC) -shared $(gate_ldflags) $(CFLAGS) $(LDFLAGS) -o $@ $^ \
	$(shell $(PKG_CONFIG) --libs libssl libcrypto) $(LDLIBS)
# Only novnc-gatectl has libraries beside the C library.
CTL_LIBRARIES = libsystemd jansson
link_ctl = $(link) $(shell $(PKG_CONFIG) --libs $(CTL_LIBRARIES))
link_filter_generator = $(link) $(shell $(PKG_CONFIG) --libs libseccomp)
# libsystemd is also for tests that compare our journal entries with its own, libseccomp for test_program.
link_test = $(link) $(shell $(PKG_CONFIG) --libs check) -Wl,--as-needed \
	$(shell $(PKG_CONFIG) --libs $(CTL_LIBRARIES) libseccomp)

# ---- files. src/net/stream.c becomes build/net/stream.o; its header is included as "net/stream.h".

# TLS is a module that is loaded when it is needed, so that other connections need not start OpenSSL. The
# program is linked twice, without the dynamic loader and with it (src/README.md).
SOURCES = $(wildcard src/*.c src/*/*.c src/process/gen/*.c)
TLS_MODULE_SOURCES = $(filter src/tls/%,$(SOURCES))
FILTER_GENERATOR_SOURCES = $(filter src/process/gen/%,$(SOURCES))
CTL_SOURCES = $(filter src/ctl/%,$(SOURCES))
PROGRAM_SOURCES = $(filter-out $(TLS_MODULE_SOURCES) $(FILTER_GENERATOR_SOURCES) $(CTL_SOURCES),$(SOURCES))
UNIT_TEST_SOURCES = $(wildcard tests/test_*.c)

# The variants: build/ as shipped, build/san/ with ASan and UBSan, build/debug/ for a debugger.
# $(call objects,VARIANT,SOURCES)
objects = $(patsubst src/%.c,$1/%.o,$2)
program_objects = $(call objects,$1,$(filter-out %/loader_static.c,$(PROGRAM_SOURCES))) $1/llhttp.a
static_program_objects = $(subst /loader_dynamic.o,/loader_static.o,$(call program_objects,$1))
tls_module_objects = $(call objects,$1,$(TLS_MODULE_SOURCES))
filter_generator_objects = $(call objects,build,$(FILTER_GENERATOR_SOURCES))
tested_objects = $(filter-out $1/main.o,$(call program_objects,$1))
# The linker leaves out what novnc-gatectl does not use of the folders that it shares with the gate.
ctl_objects = $(call objects,$1,$(CTL_SOURCES) $(filter src/base/% src/config/% src/http/%,$(PROGRAM_SOURCES))) \
	$1/llhttp.a
tested_ctl_objects = $(filter-out $1/ctl/main.o,$(call ctl_objects,$1))
sandbox_object = $(filter %/sandbox.o,$(call program_objects,$1))

unit_tests = $(UNIT_TEST_SOURCES:tests/%.c=$1/%)
ctl_unit_tests = $(filter $1/test_ctl_%,$(call unit_tests,$1))
UNIT_TESTS = $(call unit_tests,build)
# The sanitizers' variant has no sandbox.
SAN_UNIT_TESTS = $(filter-out %/test_sandbox,$(call unit_tests,build/san))

# ---- programs

build/san/%: variant_flags = $(SANITIZE)
build/debug/%: CFLAGS = -O0 -g3

# $(call variant_rules,VARIANT)
define variant_rules
$1/%.o: src/%.c Makefile | packages-for-build
	$$(compile)
$1/test_%.o: tests/test_%.c Makefile | packages-for-build packages-for-check
	$$(compile)
$(filter-out $(call ctl_unit_tests,$1),$(call unit_tests,$1)): $1/%: $1/%.o $(call tested_objects,$1) \
		$1/novnc-gate-tls.so
	$$(link_test)
$(call ctl_unit_tests,$1): $1/%: $1/%.o $(call tested_ctl_objects,$1)
	$$(link_test)
$1/novnc-gatectl: $(call ctl_objects,$1)
	$$(link_ctl)
$1/test_program: $1/process/gen/program.o
$1/test_ctl_handshake: | $1/novnc-gate-tls.so
$(call tls_module_objects,$1): position_flags = -fPIC -fvisibility=hidden
$1/novnc-gate-tls.so: $(call tls_module_objects,$1)
	$$(link_tls_module)
# node-llhttp's sources, without our warnings; empty where the system has llhttp as a library.
$1/llhttp.a: Makefile | packages-for-build
	rm -rf $$@ $1/llhttp && mkdir -p $1/llhttp
	$$(PKG_CONFIG) --exists libllhttp || { cd $1/llhttp && $$(CC) $$(LLHTTP_CFLAGS) $$(position_flags) $$(HARDENING) \
		-ffunction-sections $$(variant_flags) $$(CPPFLAGS) $$(CFLAGS) -c /usr/share/llhttp/*.c; }
	cd $1 && $$(AR) rcs llhttp.a $$$$(find llhttp -name '*.o')
-include $(patsubst %.o,%.d,$(call objects,$1,$(SOURCES))) $(addsuffix .d,$(call unit_tests,$1))
endef
$(foreach variant,build build/san build/debug,$(eval $(call variant_rules,$(variant))))
-include build/unconfined.d

build/novnc-gate build/novnc-gate-unconfined: private link_mode = -static-pie
build/novnc-gate: $(call static_program_objects,build)
	$(link)
build/novnc-gate-dynamic: $(call program_objects,build)
	$(link)
build/san/novnc-gate: $(call program_objects,build/san)
	$(link)
build/debug/novnc-gate: $(call program_objects,build/debug)
	$(link)

# The instructions of a process are counted under valgrind, whose system calls the sandbox would forbid.
build/unconfined.o: $(filter %/sandbox.c,$(PROGRAM_SOURCES)) Makefile | packages-for-build
	$(compile) -DNOVNC_GATE_UNCONFINED
build/novnc-gate-unconfined: build/unconfined.o \
		$(filter-out $(call sandbox_object,build),$(call static_program_objects,build))
	$(link)

# The seccomp programs of the sandbox are made here, so that no process has to make them.
build/filter-generator: $(filter_generator_objects)
	$(link_filter_generator)
build/filters.h: build/filter-generator
	$< >$@
$(foreach variant,build build/san build/debug,$(call sandbox_object,$(variant))) build/unconfined.o: build/filters.h

# The configuration's path and the version are in the programs: these files are compiled again for another
# SYSCONFDIR= or VERSION. Their old objects are removed first, since `sudo make install` may have made them.
sysconfdir_objects = $(call in_variants,main.o ctl/gate.o)
version_objects = $(call in_variants,main.o ctl/main.o ctl/metrics.o ctl/report_page.o \
	process/loader_dynamic.o tls/tls_module.o)
in_variants = $(foreach variant,build build/san build/debug,$(addprefix $(variant)/,$1))
$(sysconfdir_objects): build/sysconfdir
$(version_objects): build/version
build/sysconfdir build/version: ALWAYS
	@mkdir -p $(@D); echo '$(value_of_$(@F))' | cmp -s - $@ || { \
		rm -f $@ $($(@F)_objects) $($(@F)_objects:.o=.d); echo '$(value_of_$(@F))' >$@; }
value_of_sysconfdir = $(SYSCONFDIR)
value_of_version = $(VERSION)

# ---- for developers (src/README.md)

debug: build/debug/novnc-gate build/debug/novnc-gate-tls.so
	@echo "gdb -ex 'set exec-wrapper tests/with-request REQUEST' --args $< --config=FILE"

# For clangd and clang-tidy: the commands that compile each source.
COMPILED_SOURCES = $(SOURCES) $(UNIT_TEST_SOURCES) $(wildcard $(addprefix tests/,bench/*.c e2e/*.c kernels/*.c))
compile_commands.json: Makefile $(COMPILED_SOURCES) | build/filters.h
	$(file >$@,[$(foreach source,$(COMPILED_SOURCES),$(separator)$(call compile_entry,$(source)))])
separator = $(if $(filter-out $(firstword $(COMPILED_SOURCES)),$(source)),$(comma))
comma = ,
compile_entry = {"directory": $(call json,$(CURDIR)), "file": "$1", "command": $(call json,$(compile_command) -c $1)}
# $(call json,TEXT): TEXT as a string of JSON
json = "$(subst ",\",$(subst \,\\,$1))"

lint: packages-for-check build/filters.h
	$(write_flags)
	tests/lint

# The flags that tests/lint compiles with.
write_flags = $(file >build/flags,$(gate_cflags))

# ---- tests: two parts at a time, the longest ones first

ifdef SAN
check: packages-for-browser $(SAN_UNIT_TESTS) build/san/novnc-gate build/san/novnc-gate-tls.so
	tests/run san e2e-san
else
check: packages-for-browser build/bench/debian all deb $(UNIT_TESTS) $(SAN_UNIT_TESTS) build/novnc-gate-unconfined
	$(write_flags)
	tests/run -j 2 valgrind e2e systemd browser san lint package unit instructions
endif

check-long: packages-for-check-long all deb build/novnc-gate-unconfined build/san/novnc-gatectl build/test_sandbox build/hold \
		$(addprefix build/bench/,floor load backend debian)
	tests/run next
	tests/systemd/run -q -m long
	tests/run long quiet package-again piuparts systemd-13 systemd-san
	$(MAKE) deb SUITE=trixie
	tests/run package-13 piuparts-13
	tests/kernels/run 12 13
	tests/kernels/run --systemd 13 -- 'python3 -B tests/kernels/ends.py 300 return stop reboot'
	tests/kernels/run --systemd --counted 12 13 backports -- 'python3 -B tests/kernels/pid1.py 32 0 400 800'
	tests/fresh-root 12 13

demo: packages-for-demo all
	@node tests/demo/demo.mjs

# For tests/kernels.
build/hold build/standstill: build/%: tests/kernels/%.c
	@mkdir -p $(@D)
	$(CC) -O2 -D_GNU_SOURCE $(WARNINGS) -static -o $@ $<

# ---- bench: the other proxies are unpacked or installed into build/bench only; browser tests use some

bench: packages-for-bench build/bench/debian all build/novnc-gate-unconfined build/bench/floor \
		build/bench/load build/bench/backend build/bench/tls_backend build/bench/node_modules
	@tests/bench/run

# The compiler and flags of floor are not the gate's, so that it stays the same when those change.
build/bench/floor: tests/bench/floor.c | build/bench
	gcc -O2 -D_GNU_SOURCE -static -o $@ $<
build/bench/load: $(addprefix tests/bench/,load.c load_common.c load_exchange.c conn.c)
build/bench/tls_backend: $(addprefix tests/bench/,tls_backend.c conn.c)
build/bench/%: tests/bench/%.c $(wildcard tests/bench/*.h) | packages-for-build build/bench
	$(CC) -O2 -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -o $@ $(filter %.c,$^) -lssl -lcrypto
build/bench/node_modules: tests/bench/package-lock.json | packages-for-bench build/bench
	cp tests/bench/package.json tests/bench/package-lock.json build/bench
	cd build/bench && npm ci --no-audit --no-fund --ignore-scripts
	touch $@
# The packages are installed first, since unpack leaves out the libraries that are installed.
build/bench/debian: tests/bench/unpack | build/bench $(if $(may_install),packages-for-browser)
	$(if $(may_install),tests/bench/unpack,@echo "The other proxies are not in $@: 'make deps' downloads them." >&2; exit 1)
build/bench:
	mkdir -p $@

include units/install.mk

# ---- archive and Debian package (units/debian). The first entry of the changelog there has the version.

ARCHIVE = build/novnc-gate-$(VERSION).tar.xz

dist: packages-for-archive
	@mkdir -p build
	units/put-archive $(ARCHIVE) novnc-gate-$(VERSION)

# SUITE= is a release of Debian, such as trixie: its package is made in a root of its own, into build/deb/SUITE.
deb: $(if $(SUITE),packages-for-suite,packages-for-deb) dist
	units/put-package $(ARCHIVE) novnc-gate-$(VERSION) build/deb$(SUITE:%=/%) $(SUITE)

clean:
	rm -rf build compile_commands.json

help:
	@echo 'make                 build everything that is installed, in build/'
	@echo 'make install         install for the system (root); variables: NEXTJS=URL, CONTROLLER=URL,'
	@echo '                     SOCKETS=$(SOCKETS), PREFIX=$(PREFIX), SYSCONFDIR=$(SYSCONFDIR), DESTDIR='
	@echo 'make uninstall       remove everything that was installed, except an edited configuration'
	@echo 'make install-user    install for your own systemd --user, on loopback, without root'
	@echo 'make uninstall-user  remove that again'
	@echo
	@echo 'make deb             make the Debian package in build/deb, of this release of Debian; SUITE=trixie: of another one'
	@echo 'make dist            make the archive of the sources, from which `make deb` starts'
	@echo
	@echo 'make demo            run Next.js, noVNC, a VM and the gate, on port 3000 (PORT=)'
	@echo 'make check           run all tests; SAN=1: unit and end-to-end tests with ASan and UBSan'
	@echo 'make check-long      test with Next.js 14 to 16, testssl.sh, fresh Debian 12 and 13, their kernels (root, hours)'
	@echo 'make bench           compare speed, CPU and memory with other proxies (root); QUICK=1: under a minute'
	@echo 'make lint            check for compiler warnings (gcc and clang), code layout, man pages'
	@echo 'make debug           build build/debug/novnc-gate for gdb (src/README.md)'
	@echo 'make compile_commands.json'
	@echo '                     write the compiler commands, for clangd and clang-tidy'
	@echo 'make deps            install the Debian packages for all of these; demo and check install their own'
	@echo 'make clean           remove build/ and compile_commands.json'
	@echo
	@echo 'Defaults of the first installation: NEXTJS=$(NEXTJS) CONTROLLER=$(CONTROLLER)'

.PHONY: ALWAYS all debug lint check check-long demo bench deps clean help dist deb packages-for-build packages-for-deb \
	packages-for-archive packages-for-suite \
	packages-for-check packages-for-demo packages-for-browser packages-for-check-long packages-for-bench
.DELETE_ON_ERROR:
