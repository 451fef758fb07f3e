# novnc-gate: `make help` lists the targets.

VERSION = 0.1.0

PREFIX = /usr/local
SYSCONFDIR = /etc
DESTDIR =

CFLAGS = -O2 -g
PKG_CONFIG = pkg-config

# The Debian packages, each list in one place; A|B is either of the two. What the demo and the
# browser tests need stands beside them.
BUILD_PACKAGES = gcc libc6-dev pkgconf libssl-dev libseccomp-dev libmd-dev \
	libllhttp-dev|node-llhttp
CHECK_PACKAGES = check libsystemd-dev valgrind libc6-dbg python3 python3-pytest python3-pytest-xdist \
	openssl curl clang clang-format shellcheck mandoc systemd systemd-container libpam-systemd dbus iproute2 \
	strace
list = $(shell cat $(wildcard $1) /dev/null | sed 's/\#.*//')
LONG_PACKAGES = testssl.sh debootstrap git qemu-system-x86 busybox-static cpio kmod xz-utils
DEMO_PACKAGES = $(call list,tests/demo/packages)
BROWSER_PACKAGES = $(DEMO_PACKAGES) $(call list,tests/browser/packages)
BENCH_PACKAGES = $(call list,tests/bench/packages)

# ---- flags. Recursive on purpose: pkg-config is asked after the packages have been installed.

WARNINGS = -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wconversion
HARDENING = $(CODE) -fstack-protector-strong
CODE = -fPIE
FORTIFY = $(if $(filter -O1 -O2 -O3 -Os -Og,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
# What they do themselves the sandbox would forbid.
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
	-DNOVNC_GATE_NO_SANDBOX

LLHTTP_CFLAGS = -DLLHTTP_STRICT_MODE=1 \
	$(shell $(PKG_CONFIG) --cflags libllhttp 2>/dev/null || echo -I/usr/share/include/llhttp)
# The archive, for the program that is linked statically.
LLHTTP_LIBS = $(patsubst -lllhttp,$(if $(wildcard $(llhttp_dir)/libllhttp.a),-l:libllhttp.a,-lllhttp), \
	$(shell $(PKG_CONFIG) --libs libllhttp 2>/dev/null))
llhttp_dir = $(shell $(PKG_CONFIG) --variable=libdir libllhttp 2>/dev/null)

# $(FLAVOUR) is FORTIFY or SANITIZERS, by directory.
our_cflags = -std=gnu11 -D_GNU_SOURCE -DNOVNC_GATE_VERSION='"$(VERSION)"' \
	-DNOVNC_GATE_CONF='"$(SYSCONFDIR)/novnc-gate.conf"' \
	$(LLHTTP_CFLAGS) $(shell $(PKG_CONFIG) --cflags libcrypto libmd libseccomp) \
	-iquote src -iquote build $(WARNINGS) $(HARDENING) -ffunction-sections -fdata-sections $(FLAVOUR)
our_ldflags = $(FLAVOUR) -Wl,-z,relro,-z,now -Wl,--gc-sections
# SHA-1 from libmd's archive, which nothing has to start. OpenSSL's asks the processor what it is
# before main(), and each such question leaves a virtual machine.
our_libs = $(LLHTTP_LIBS) $(shell $(PKG_CONFIG) --libs-only-L libmd) -l:libmd.a

define compile
@mkdir -p $(@D)
$(CC) $(our_cflags) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
endef
link = $(CC) $(our_ldflags) $(CFLAGS) $(LDFLAGS) $(LINKED) -o $@ $(filter %.o %.a,$^) $(our_libs) $(LDLIBS)
link_module = $(CC) -shared $(our_ldflags) $(CFLAGS) $(LDFLAGS) -o $@ $^ \
	$(shell $(PKG_CONFIG) --libs libssl libcrypto) $(LDLIBS)
# libsystemd only where a test holds ours against it
link_test = $(link) $(shell $(PKG_CONFIG) --libs check) -Wl,--as-needed \
	$(shell $(PKG_CONFIG) --libs libsystemd)

# ---- what is built: build/ as it is shipped, build/san/ with ASan and UBSan

# TLS is a module that is loaded when it is needed, so that nothing else has OpenSSL to start; and the
# program comes twice, without the dynamic loader and with it (src/loader.h).
#
# src/net/stream.c becomes build/net/stream.o; its header is included as "net/stream.h".
MODULE = $(wildcard src/tls*.c src/tls/*.c)
GENERATOR = $(wildcard src/gen/*.c src/*/gen/*.c)
SOURCES = $(filter-out $(MODULE) $(GENERATOR),$(wildcard src/*.c src/*/*.c))
TESTS = $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
objects = $(patsubst src/%.c,$1/%.o,$(filter-out %/loader_static.c,$(SOURCES))) $1/llhttp.a
static_objects = $(subst /loader_dynamic.o,/loader_static.o,$(call objects,$1))
module_objects = $(MODULE:src/%.c=$1/%.o)
generator_objects = $(GENERATOR:src/%.c=build/%.o)
parts = $(filter-out $1/main.o,$(call objects,$1))
sandbox_object = $(filter %/sandbox.o,$(call objects,build))
UNIT_TESTS = $(TESTS:%=build/%)
# there is no sandbox with sanitizers
SAN_UNIT_TESTS = $(patsubst %,build/san/%,$(filter-out test_sandbox,$(TESTS)))

all: build/novnc-gate build/novnc-gate-dynamic build/novnc-gate-tls.so

build/%: FLAVOUR = $(FORTIFY)
build/san/%: FLAVOUR = $(SANITIZERS)
build/%: LINKED = -pie

build/novnc-gate build/novnc-gate-unconfined: LINKED = -static-pie
build/novnc-gate: $(call static_objects,build)
	$(link)
build/novnc-gate-dynamic: $(call objects,build)
	$(link)
build/san/novnc-gate: $(call objects,build/san)
	$(link)
# For counting its instructions under valgrind, whose own calls the sandbox would forbid.
build/unconfined.o: $(filter %/sandbox.c,$(SOURCES)) Makefile | build-packages build/san
	$(compile) -DNOVNC_GATE_NO_SANDBOX
build/novnc-gate-unconfined: $(filter-out $(sandbox_object),$(call static_objects,build)) build/unconfined.o
	$(link)

$(call module_objects,build) $(call module_objects,build/san): CODE = -fPIC -fvisibility=hidden
build/novnc-gate-tls.so: $(call module_objects,build)
	$(link_module)
build/san/novnc-gate-tls.so: $(call module_objects,build/san)
	$(link_module)

$(UNIT_TESTS): build/test_%: build/test_%.o $(call parts,build) build/novnc-gate-tls.so
	$(link_test)
$(SAN_UNIT_TESTS): build/san/test_%: build/san/test_%.o $(call parts,build/san) \
		build/san/novnc-gate-tls.so
	$(link_test)

build/%.o: src/%.c Makefile | build-packages build/san
	$(compile)
build/san/%.o: src/%.c Makefile | build-packages build/san
	$(compile)
build/test_%.o: tests/test_%.c Makefile | build-packages check-packages build/san
	$(compile)
build/san/test_%.o: tests/test_%.c Makefile | build-packages check-packages build/san
	$(compile)

# The path of the configuration is in the program: another SYSCONFDIR= compiles it anew. What was made
# goes first, for `sudo make install` may have made it.
build/main.o build/san/main.o: build/sysconfdir
build/sysconfdir: ALWAYS | build/san
	@echo '$(SYSCONFDIR)' | cmp -s - $@ || { rm -f $@ build/main.[od] build/san/main.[od]; \
		echo '$(SYSCONFDIR)' >$@; }

# What the sandbox lets through, compiled by libseccomp here, so that no process has to.
build/filters: $(generator_objects)
	$(link) $(shell $(PKG_CONFIG) --libs libseccomp)
build/filters.h: build/filters
	$< >$@
$(sandbox_object): build/filters.h

# node-llhttp's sources, without our warnings; empty where the system has llhttp as a library.
build/llhttp.a build/san/llhttp.a: Makefile | build-packages build/san
	rm -rf $@ $(@D)/llhttp && mkdir $(@D)/llhttp
	$(PKG_CONFIG) --exists libllhttp || { cd $(@D)/llhttp && $(CC) $(LLHTTP_CFLAGS) $(HARDENING) \
		-ffunction-sections $(FLAVOUR) $(CPPFLAGS) $(CFLAGS) -c /usr/share/llhttp/*.c; }
	cd $(@D) && $(AR) rcs llhttp.a $$(find llhttp -name '*.o')

build/san:
	mkdir -p $@

-include $(patsubst %.o,%.d,$(filter %.o,$(foreach b,build build/san,$(call objects,$b) \
	$(call static_objects,$b) $(call module_objects,$b) $(TESTS:%=$b/%.o)) \
	$(generator_objects) build/unconfined.o))

# ---- packages: demo, check, bench and deps install what they need, all else only names it

quoted = $(foreach p,$1,'$p')
installing = $(if $(filter demo check check-long bench deps,$(MAKECMDGOALS)),--install)

build-packages:
	@tests/need $(installing) 'to build novnc-gate' $(call quoted,$(BUILD_PACKAGES))
check-packages: build-packages
	@tests/need $(installing) 'to run its tests' $(call quoted,$(CHECK_PACKAGES))
demo-packages: build-packages
	@tests/need $(installing) 'to run the demo' $(call quoted,$(DEMO_PACKAGES))
browser-packages: check-packages
	@tests/need $(installing) 'to run the browser tests' $(call quoted,$(BROWSER_PACKAGES))
long-packages: check-packages
	@tests/need $(installing) 'to run the long tests' $(call quoted,$(LONG_PACKAGES))
bench-packages: build-packages
	@tests/need $(installing) 'to run the bench' $(call quoted,$(BENCH_PACKAGES))

deps: browser-packages

# ---- tests: one part after the other, cheap ones first

ifdef SAN
check: deps $(SAN_UNIT_TESTS) build/san/novnc-gate build/san/novnc-gate-tls.so
	tests/run san e2e-san
else
check: deps all $(UNIT_TESTS) $(SAN_UNIT_TESTS) build/novnc-gate-unconfined
	$(flags_file)tests/run unit lint san valgrind instructions e2e systemd browser
endif

lint: check-packages build/filters.h
	$(flags_file)tests/lint

# What tests/lint compiles with.
flags_file = $(file >build/flags,$(our_cflags) $(FORTIFY))

check-long: deps long-packages all build/test_sandbox \
		$(addprefix build/bench/,floor load backend debian)
	tests/run next
	tests/systemd/run -q -m long
	tests/run vanished
	tests/kernels/run 12 13
	tests/fresh-root 12 13

demo: demo-packages all
	@node tests/demo/demo.mjs

# ---- bench: beside other proxies, which are unpacked or installed into build/bench only

bench: bench-packages all build/novnc-gate-unconfined build/bench/floor build/bench/load \
		build/bench/backend build/bench/tls_backend build/bench/node_modules build/bench/debian
	@tests/bench/run

# Not with our compiler and flags: it stays the same whatever becomes of them.
build/bench/floor: tests/bench/floor.c | build/bench
	gcc -O2 -D_GNU_SOURCE -static -o $@ $<
build/bench/load: $(addprefix tests/bench/,load.c load_common.c load_exchange.c conn.c)
build/bench/tls_backend: $(addprefix tests/bench/,tls_backend.c conn.c)
build/bench/%: tests/bench/%.c $(wildcard tests/bench/*.h) | build-packages build/bench
	$(CC) -O2 -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -o $@ $(filter %.c,$^) -lssl -lcrypto
build/bench/node_modules: tests/bench/package-lock.json | bench-packages build/bench
	cp tests/bench/package.json tests/bench/package-lock.json build/bench
	cd build/bench && npm ci --no-audit --no-fund --ignore-scripts
	touch $@
build/bench/debian: tests/bench/unpack | bench-packages build/bench
	$<
# For tests/kernels/pid1.py.
build/hold: tests/kernels/hold.c | build/san
	$(CC) -O2 -static -o $@ $<
build/bench:
	mkdir -p $@

# ---- install

NEXTJS = http://127.0.0.1:3001
CONTROLLER = http://127.0.0.1:4000
export NEXTJS CONTROLLER

# So many sockets share a port, each good for 128 sessions (units/socket.in, novnc-gate(8)): as many as are
# installed already, else 32.
SOCKETS = $(or $(filter-out 0,$(words $(wildcard $(DESTDIR)$(unitdir)/novnc-gate-http-[0-9]*.socket))),32)
# What is there once; TLS only for the system manager, since what it reads is root's.
UNITS = novnc-gate.slice
TLS_UNITS = novnc-gate-tls-ticket.service novnc-gate-tls-ticket.timer
SYSTEMD_VERSION = $(shell systemctl --version 2>/dev/null | sed -n 's/^systemd \([0-9]*\).*/\1/p')
# A drop-in that older versions would complain of.
POLL_LIMIT = $(shell [ 0$(SYSTEMD_VERSION) -lt 255 ] || echo novnc-gate-.socket.d/poll-limit.conf)

# What is installed, as SOURCE:TARGET; `uninstall` removes the same.
sbindir = $(PREFIX)/sbin
libdir = $(PREFIX)/lib/novnc-gate
unitdir = $(PREFIX)/lib/systemd/system
sharedir = $(PREFIX)/share/novnc-gate
docdir = $(PREFIX)/share/doc/novnc-gate
FILES = $(foreach u,$(UNITS) $(TLS_UNITS),units/$u:$(unitdir)/$u) \
	$(foreach u,$(POLL_LIMIT),units/$(notdir $u):$(unitdir)/$u) \
	units/novnc-gate.sysusers:$(PREFIX)/lib/sysusers.d/novnc-gate.conf \
	units/novnc-gate.catalog:$(PREFIX)/lib/systemd/catalog/novnc-gate.catalog \
	units/novnc-gate.preset:$(PREFIX)/lib/systemd/system-preset/90-novnc-gate.preset \
	units/novnc-gate-nextjs.service:$(docdir)/novnc-gate-nextjs.service \
	units/strict.conf:$(docdir)/strict.conf \
	$(foreach m,$(wildcard man/*.5),$m:$(PREFIX)/share/man/man5/$(notdir $m)) \
	$(foreach m,$(wildcard man/*.8),$m:$(PREFIX)/share/man/man8/$(notdir $m))
# What units run.
HELPERS = units/port-is-free units/connections-left
# Directories that go with the last file in them.
DIRS = $(libdir) $(unitdir)/novnc-gate-.socket.d $(unitdir) \
	$(PREFIX)/lib/systemd/catalog $(PREFIX)/lib/systemd/system-preset \
	$(PREFIX)/lib/systemd $(PREFIX)/lib/sysusers.d $(docdir) $(PREFIX)/share/doc $(sharedir) \
	$(PREFIX)/share/man/man5 $(PREFIX)/share/man/man8

userunitdir = $(HOME)/.config/systemd/user
usersharedir = $(HOME)/.local/share/novnc-gate
userman = $(HOME)/.local/share/man
userconf = $(HOME)/.config/novnc-gate.conf

# Recipes have paths as words.
one_word = $(foreach v,$1,$(if $(word 2,x$($v)x),$(error $v= must not have white space in it: '$($v)')))

# A recipe's scratch file.
tmp = set -e; tmp=$$(mktemp); trap 'rm -f "$$tmp"' EXIT

# By renaming, so that no connection finds half a program. The programs first: they tell if the module
# is of another version, as it may be for a moment.  $(call put_program,DIRECTORY,LIBRARIES)
put_one = install -D -m $1 build/$2 $3/.$2.new && mv -f $3/.$2.new $3/$2
put_program = $(call put_one,755,novnc-gate-dynamic,$2) && $(call put_one,755,novnc-gate,$1) && \
	$(call put_one,644,novnc-gate-tls.so,$2)

# An edited configuration is kept; whether it was edited shows the copy in DIRECTORY. URLs that are not
# given are those it has.  $(call put_conf,FILE,DIRECTORY)
put_conf = @units/put-conf $1 $2/novnc-gate.conf \
	$(foreach url,NEXTJS CONTROLLER,$(if $(filter-out file,$(origin $(url))),$(url)))

define take_conf
@if cmp -s $1 $2/novnc-gate.conf; then rm -f $1; \
elif [ -e $1 ]; then echo "$1 was edited and stays."; fi
rm -f $1.new $2/novnc-gate.conf
endef

# The units that put-units writes.  $(call many_units,DIRECTORY)
many_units = $(foreach k,http tls,$1/novnc-gate-$k-[0-9]*.socket $1/novnc-gate-$k-[0-9]*@.service) \
	$1/novnc-gate.service $1/novnc-gate-tls.service

# $(call take_units,SYSTEMCTL,DIRECTORY)
define take_units
if [ -e $2/novnc-gate.service ]; then \
	$1 disable $(notdir $(wildcard $2/novnc-gate.service $2/novnc-gate-tls.service)); \
	[ ! -d /run/systemd/system ] || $1 stop novnc-gate.slice \
		$(notdir $(wildcard $2/novnc-gate.service $2/novnc-gate-tls.service \
			$2/novnc-gate-tls-ticket.timer)); \
fi
rm -f $(call many_units,$2)
endef

take_dirs = for d in $1; do [ ! -d "$$d" ] || rmdir --ignore-fail-on-non-empty "$$d"; done

install: all
	$(call one_word,DESTDIR PREFIX SYSCONFDIR)
	$(call put_conf,$(DESTDIR)$(SYSCONFDIR)/novnc-gate.conf,$(DESTDIR)$(sharedir))
	$(call put_program,$(DESTDIR)$(sbindir),$(DESTDIR)$(libdir))
	install -D -m 755 -t $(DESTDIR)$(libdir) $(HELPERS)
	@$(tmp); echo 's|/usr/local/sbin|$(sbindir)|g; s|/usr/local/lib/novnc-gate|$(libdir)|g' >"$$tmp"; \
	echo 's|/etc/novnc-gate|$(SYSCONFDIR)/novnc-gate|g' >>"$$tmp"; \
	units/put-units "$$tmp" $(SOCKETS) $(DESTDIR)$(unitdir) http tls; \
	for f in $(FILES); do \
		echo "$(DESTDIR)$${f#*:}"; \
		mkdir -p "$$(dirname "$(DESTDIR)$${f#*:}")"; \
		sed -f "$$tmp" "$${f%%:*}" | install -m 644 /dev/stdin "$(DESTDIR)$${f#*:}"; \
	done
ifeq ($(DESTDIR),)
	systemd-sysusers $(PREFIX)/lib/sysusers.d/novnc-gate.conf
	journalctl --update-catalog
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
	@[ ! -d /run/systemd/system ] || units/move-over systemctl $(unitdir) /etc/systemd/system
	@echo "Next, as root: systemctl enable --now novnc-gate   (novnc-gate --check tells if all is well)"
endif

uninstall:
	$(call one_word,DESTDIR PREFIX SYSCONFDIR)
	$(call take_units,$(if $(DESTDIR),:,systemctl),$(DESTDIR)$(unitdir))
ifeq ($(DESTDIR),)
	rm -rf /run/novnc-gate-tls
endif
	$(call take_conf,$(DESTDIR)$(SYSCONFDIR)/novnc-gate.conf,$(DESTDIR)$(sharedir))
	rm -f $(DESTDIR)$(sbindir)/novnc-gate $(DESTDIR)$(libdir)/novnc-gate-dynamic \
		$(DESTDIR)$(libdir)/novnc-gate-tls.so \
		$(HELPERS:units/%=$(DESTDIR)$(libdir)/%) \
		$(foreach f,$(FILES),$(DESTDIR)$(lastword $(subst :, ,$f)))
	$(call take_dirs,$(DIRS:%=$(DESTDIR)%))
ifeq ($(DESTDIR),)
	journalctl --update-catalog
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
	@echo "The user novnc-gate stays, as system users do; it owns no files (userdel novnc-gate)."
endif

# The same units for one's own `systemd --user`: loopback only, no root.
install-user: all
	$(call one_word,HOME)
	$(call put_conf,$(userconf),$(usersharedir))
	$(call put_program,$(HOME)/.local/bin,$(HOME)/.local/lib/novnc-gate)
	install -D -m 755 -t $(HOME)/.local/lib/novnc-gate $(HELPERS)
	@$(tmp); printf '%s\n' '/only the system manager/,/^$$/d' \
		's|/usr/local/sbin/novnc-gate|%h/.local/bin/novnc-gate --config=%h/.config/novnc-gate.conf|' \
		's|/usr/local/lib/novnc-gate|%h/.local/lib/novnc-gate|' \
		's|/sys/fs/cgroup/novnc.slice|/sys/fs/cgroup/user.slice/user-%U.slice/user@%U.service/novnc.slice|' \
		's|^ListenStream=.*|ListenStream=127.0.0.1:3000\nListenStream=[::1]:3000|' \
		's|multi-user.target|default.target|; /^After=sysinit/d' \
		's|^MaxConnectionsPerSource=.*|MaxConnectionsPerSource=352|' >"$$tmp"; \
	units/put-units "$$tmp" 1 $(userunitdir) http
	install -m 644 -t $(userunitdir) $(UNITS:%=units/%)
	$(foreach u,$(POLL_LIMIT),install -D -m 644 units/$(notdir $u) $(userunitdir)/$u)
	install -D -m 644 -t $(userman)/man5 man/*.5
	install -D -m 644 -t $(userman)/man8 man/*.8
	systemctl --user daemon-reload
	@units/move-over 'systemctl --user' $(userunitdir) $(userunitdir)
	@echo "Next: systemctl --user enable --now novnc-gate"
	@echo "journalctl --user -x explains entries once root has run:"
	@echo "  install -D -m 644 -t /usr/local/lib/systemd/catalog $(CURDIR)/units/novnc-gate.catalog"
	@echo "  journalctl --update-catalog"

uninstall-user:
	$(call one_word,HOME)
	$(call take_units,systemctl --user,$(userunitdir))
	$(call take_conf,$(userconf),$(usersharedir))
	rm -f $(HOME)/.local/bin/novnc-gate $(HOME)/.local/lib/novnc-gate/novnc-gate-dynamic \
		$(HOME)/.local/lib/novnc-gate/novnc-gate-tls.so \
		$(HELPERS:units/%=$(HOME)/.local/lib/novnc-gate/%) $(UNITS:%=$(userunitdir)/%) \
		$(userunitdir)/novnc-gate-.socket.d/poll-limit.conf \
		$(userman)/man5/novnc-gate.conf.5 $(userman)/man8/novnc-gate.8
	$(call take_dirs,$(userunitdir)/novnc-gate-.socket.d $(usersharedir) $(HOME)/.local/lib/novnc-gate)
	systemctl --user daemon-reload

clean:
	rm -rf build

help:
	@echo 'make                 build all that is installed, in build/'
	@echo 'make demo            a whole world to try it in: Next.js, noVNC, a VM, the gate on port 3000 (PORT=)'
	@echo 'make check           all tests; SAN=1: unit and end-to-end tests with ASan and UBSan'
	@echo 'make check-long      Next.js 14 to 16, testssl.sh; on Debian 12 and 13, their kernels, demo and check (root, two hours)'
	@echo 'make bench           speed, CPU and memory beside other proxies; QUICK=1: under a minute (root)'
	@echo 'make lint            compiler warnings (gcc and clang), code layout, man pages'
	@echo 'make deps            install the Debian packages for all of these'
	@echo 'make install         NEXTJS=URL CONTROLLER=URL; SOCKETS=$(SOCKETS), PREFIX=$(PREFIX), SYSCONFDIR=$(SYSCONFDIR), DESTDIR='
	@echo 'make uninstall       take exactly that away again; an edited configuration stays'
	@echo 'make install-user    the same for your own systemd --user, on loopback; needs no root'
	@echo 'make uninstall-user'
	@echo 'make clean           remove build/'
	@echo
	@echo 'NEXTJS=$(NEXTJS) and CONTROLLER=$(CONTROLLER) unless given or installed before.'

.PHONY: ALWAYS all check check-long lint bench demo install uninstall install-user uninstall-user \
	clean deps help build-packages check-packages long-packages demo-packages browser-packages \
	bench-packages
.DELETE_ON_ERROR:
