# The part of the Makefile that installs: install, uninstall, install-user, uninstall-user.

NEXTJS = http://127.0.0.1:3001
CONTROLLER = http://127.0.0.1:4000
export NEXTJS CONTROLLER

# The number of sockets that share a port, each for 128 sessions (units/socket.in, novnc-gate(8)). Without
# SOCKETS=, an installation keeps its number; a new one has 32.
SOCKETS = $(or $(filter-out 0,$(words $(wildcard $(DESTDIR)$(unitdir)/novnc-gate-http-[0-9]*.socket))),32)

bindir = $(PREFIX)/bin
sbindir = $(PREFIX)/sbin
libdir = $(PREFIX)/lib/novnc-gate
unitdir = $(PREFIX)/lib/systemd/system
presetdir = $(PREFIX)/lib/systemd/system-preset
sharedir = $(PREFIX)/share/novnc-gate
docdir = $(PREFIX)/share/doc/novnc-gate
mandir = $(PREFIX)/share/man
bashdir = $(PREFIX)/share/bash-completion/completions
zshdir = $(PREFIX)/share/zsh/site-functions

user_bindir = $(HOME)/.local/bin
user_libdir = $(HOME)/.local/lib/novnc-gate
user_unitdir = $(HOME)/.config/systemd/user
user_sharedir = $(HOME)/.local/share/novnc-gate
user_mandir = $(HOME)/.local/share/man
user_bashdir = $(HOME)/.local/share/bash-completion/completions
user_conf = $(HOME)/.config/novnc-gate.conf

# ---- what is installed

# Programs that units run.
UNIT_PROGRAMS = port-is-free connections-left
# Units that units/put-units does not write. TLS is for the system manager only, since its files are root's.
COMMON_UNITS = novnc-gate.slice
TLS_UNITS = novnc-gate-tls-ticket.service novnc-gate-tls-ticket.timer
# Metrics for Prometheus, of the system manager's units only.
METRICS_UNITS = novnc-gate-metrics.socket novnc-gate-metrics@.service
# Versions of systemd before 255 log a warning about this drop-in.
POLL_LIMIT_DROP_IN = $(shell [ 0$(systemd_version) -lt 255 ] || echo novnc-gate-.socket.d/poll-limit.conf)
systemd_version = $(shell systemctl --version 2>/dev/null | sed -n 's/^systemd \([0-9]*\).*/\1/p')

# The files that a sed script adapts to the installation's directories, each as SOURCE:TARGET.
INSTALLED_FILES = $(foreach unit,$(COMMON_UNITS) $(TLS_UNITS) $(METRICS_UNITS),units/$(unit):$(unitdir)/$(unit)) \
	$(foreach drop_in,$(POLL_LIMIT_DROP_IN),units/$(notdir $(drop_in)):$(unitdir)/$(drop_in)) \
	units/novnc-gate.sysusers:$(PREFIX)/lib/sysusers.d/novnc-gate.conf \
	units/novnc-gate.catalog:$(PREFIX)/lib/systemd/catalog/novnc-gate.catalog \
	units/novnc-gatectl.catalog:$(PREFIX)/lib/systemd/catalog/novnc-gatectl.catalog \
	units/novnc-gate.preset:$(presetdir)/90-novnc-gate.preset \
	units/novnc-gate-nextjs.service:$(docdir)/novnc-gate-nextjs.service \
	units/strict.conf:$(docdir)/strict.conf \
	units/haproxy.cfg:$(docdir)/haproxy.cfg \
	units/completion.bash:$(bashdir)/novnc-gatectl \
	units/completion.zsh:$(zshdir)/_novnc-gatectl \
	$(foreach page,$(wildcard man/*.1),$(page):$(mandir)/man1/$(notdir $(page))) \
	$(foreach page,$(wildcard man/*.5),$(page):$(mandir)/man5/$(notdir $(page))) \
	$(foreach page,$(wildcard man/*.8),$(page):$(mandir)/man8/$(notdir $(page)))
# The directories that `make uninstall` removes once they are empty.
INSTALLED_DIRS = $(libdir) $(unitdir)/novnc-gate-.socket.d $(unitdir) \
	$(PREFIX)/lib/systemd/catalog $(presetdir) \
	$(PREFIX)/lib/systemd $(PREFIX)/lib/sysusers.d $(docdir) $(PREFIX)/share/doc $(sharedir) \
	$(mandir)/man1 $(mandir)/man5 $(mandir)/man8 \
	$(bashdir) $(PREFIX)/share/bash-completion $(zshdir) $(PREFIX)/share/zsh

# ---- steps of the recipes

# Recipes write paths without quotes. The x's keep white space at the value's ends.
# $(call refuse_white_space,VARIABLES)
refuse_white_space = $(foreach name,$1,$(if $(word 2,x$($(name))x), \
	$(error $(name)= must not have white space in it: '$($(name))')))

# Begins a recipe with a scratch file, "$$script", for sed.
with_script = set -e; script=$$(mktemp); trap 'rm -f "$$script"' EXIT

# Each file is renamed into its place, so that no connection finds an incomplete one. The module is installed
# last. Until then the new programs find the old module; if its version differs, they report an error.
# $(call install_program,MODE,NAME,DIRECTORY), $(call install_programs,SBINDIR,LIBDIR,BINDIR)
install_program = install -D -m $1 build/$2 $3/.$2.new && mv -f $3/.$2.new $3/$2
install_programs = $(call install_program,755,novnc-gate-dynamic,$2) && \
	$(call install_program,755,novnc-gate,$1) && $(call install_program,644,novnc-gate-tls.so,$2) && \
	$(call install_program,755,novnc-gatectl,$3)
# $(call remove_programs,SBINDIR,LIBDIR,BINDIR)
remove_programs = rm -f $1/novnc-gate $3/novnc-gatectl $(addprefix $2/,novnc-gate-dynamic novnc-gate-tls.so $(UNIT_PROGRAMS))

# An edited configuration is kept: one that differs from its copy in DIRECTORY, which was made when it was
# installed. A new configuration keeps the old URLs unless others are given.  $(call install_conf,FILE,DIRECTORY)
install_conf = @units/put-conf $1 $2/novnc-gate.conf \
	$(foreach url,NEXTJS CONTROLLER,$(if $(filter-out file,$(origin $(url))),$(url)))

# $(call remove_conf,FILE,DIRECTORY)
define remove_conf
@if dpkg-query -S $1 >/dev/null 2>&1; then echo "$1 belongs to a Debian package and stays."; \
elif cmp -s $1 $2/novnc-gate.conf; then rm -f $1; \
elif [ -e $1 ]; then echo "$1 was edited and stays."; fi
rm -f $1.new $2/novnc-gate.conf
endef

# Of the units that units/put-units wrote, those that users start and stop.  $(call umbrellas,DIRECTORY)
umbrellas = $(foreach kind,novnc-gate novnc-gate-tls novnc-gate-proxy,$1/$(kind).service)
# Of the units that units/put-units wrote, those of the single sockets and connections.  $(call socket_units,DIRECTORY)
socket_units = $(wildcard $(foreach kind,http tls proxy,$1/novnc-gate-$(kind)-[0-9]*.socket $1/novnc-gate-$(kind)-[0-9]*@.service))
# Stops and removes all units of put-units. systemd would keep failed ones although their files are gone.
# $(call remove_socket_units,SYSTEMCTL,DIRECTORY)
define remove_socket_units
if [ -e $2/novnc-gate.service ]; then \
	$1 disable $(notdir $(wildcard $(call umbrellas,$2) $2/novnc-gate-metrics.socket)); \
	[ ! -d /run/systemd/system ] || { $1 stop novnc-gate.slice \
		$(notdir $(wildcard $(call umbrellas,$2) $2/novnc-gate-tls-ticket.timer $2/novnc-gate-metrics.socket)); \
		$1 reset-failed $(notdir $(wildcard $(call umbrellas,$2) $2/novnc-gate-tls-ticket.service $2/novnc-gate-metrics.socket) \
			$(filter %.socket,$(call socket_units,$2))) 2>/dev/null || :; }; \
fi
rm -f $(call socket_units,$2) $(call umbrellas,$2)
endef

# The version of Debian's package if it is installed, too.
package = $(shell dpkg-query -W -f '$${db:Status-Status} $${Version}\n' novnc-gate 2>/dev/null | sed -n 's/^installed //p')

remove_empty_dirs = for d in $1; do [ ! -d "$$d" ] || rmdir --ignore-fail-on-non-empty "$$d"; done

# ---- targets

# units/move-over replaces older units, with one socket per kind.
install: all
	$(call refuse_white_space,DESTDIR PREFIX SYSCONFDIR)
	$(call install_conf,$(DESTDIR)$(SYSCONFDIR)/novnc-gate.conf,$(DESTDIR)$(sharedir))
	$(call install_programs,$(DESTDIR)$(sbindir),$(DESTDIR)$(libdir),$(DESTDIR)$(bindir))
	install -D -m 755 -t $(DESTDIR)$(libdir) $(UNIT_PROGRAMS:%=units/%)
	@$(with_script); echo 's|/usr/local/sbin|$(sbindir)|g; s|/usr/local/bin|$(bindir)|g; s|/usr/local/lib/novnc-gate|$(libdir)|g' >"$$script"; \
	echo 's|/usr/local/lib/systemd|$(PREFIX)/lib/systemd|g; s|/usr/local/share/doc/novnc-gate|$(docdir)|g' >>"$$script"; \
	echo 's|/etc/novnc-gate|$(SYSCONFDIR)/novnc-gate|g; s|^\.Os$$|.Os novnc-gate $(VERSION)|' >>"$$script"; \
	[ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] || export SYSTEMCTL=systemctl; \
	units/put-units "$$script" $(SOCKETS) $(DESTDIR)$(unitdir) http tls proxy; \
	for f in $(INSTALLED_FILES); do \
		echo "$(DESTDIR)$${f#*:}"; \
		mkdir -p "$$(dirname "$(DESTDIR)$${f#*:}")"; \
		sed -f "$$script" "$${f%%:*}" | install -m 644 /dev/stdin "$(DESTDIR)$${f#*:}"; \
	done
ifeq ($(DESTDIR),)
	systemd-sysusers $(PREFIX)/lib/sysusers.d/novnc-gate.conf
	journalctl --update-catalog
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
	@[ ! -d /run/systemd/system ] || units/move-over systemctl $(unitdir) /etc/systemd/system
	@[ -z "$(package)" ] || echo "The Debian package novnc-gate $(package) is installed, too. Until 'make uninstall'," \
		"its units and programs are not used, but those in $(PREFIX)."
	@echo "Next, as root: systemctl enable --now novnc-gate   (novnc-gate --check shows errors)"
endif

# DESTDIR has no systemd: there `:` replaces systemctl.
uninstall:
	$(call refuse_white_space,DESTDIR PREFIX SYSCONFDIR)
	$(call remove_socket_units,$(if $(DESTDIR),:,systemctl),$(DESTDIR)$(unitdir))
ifeq ($(DESTDIR),)
	$(if $(package),,rm -rf /run/novnc-gate-tls /var/lib/novnc-gate)
endif
	$(call remove_conf,$(DESTDIR)$(SYSCONFDIR)/novnc-gate.conf,$(DESTDIR)$(sharedir))
	$(call remove_programs,$(DESTDIR)$(sbindir),$(DESTDIR)$(libdir),$(DESTDIR)$(bindir))
	rm -f $(foreach f,$(INSTALLED_FILES),$(DESTDIR)$(lastword $(subst :, ,$f))) \
		$(DESTDIR)$(unitdir)/novnc-gate-.socket.d/poll-limit.conf
	$(call remove_empty_dirs,$(INSTALLED_DIRS:%=$(DESTDIR)%))
ifeq ($(DESTDIR),)
	journalctl --update-catalog
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
	@echo $(if $(package),"To start the gate of the Debian package again: systemctl enable --now novnc-gate", \
		"The user novnc-gate is kept; it owns no files. To remove it: userdel novnc-gate")
endif

# The same units for one's own `systemd --user`: on loopback only, without root. The first sed command removes
# the paragraph with settings that only the system manager can apply.
install-user: all
	$(call refuse_white_space,HOME)
	$(call install_conf,$(user_conf),$(user_sharedir))
	$(call install_programs,$(user_bindir),$(user_libdir),$(user_bindir))
	install -D -m 755 -t $(user_libdir) $(UNIT_PROGRAMS:%=units/%)
	@$(with_script); printf '%s\n' '/only the system manager/,/^$$/d' \
		's|/usr/local/sbin/novnc-gate|%h/.local/bin/novnc-gate --config=%h/.config/novnc-gate.conf|' \
		's|/usr/local/lib/novnc-gate|%h/.local/lib/novnc-gate|' \
		's|/sys/fs/cgroup/novnc.slice|/sys/fs/cgroup/user.slice/user-%U.slice/user@%U.service/novnc.slice|' \
		's|^ListenStream=.*|ListenStream=127.0.0.1:3000\nListenStream=[::1]:3000|' \
		's|multi-user.target|default.target|; /^After=sysinit/d' \
		's|^MaxConnectionsPerSource=.*|MaxConnectionsPerSource=352|' >"$$script"; \
	units/put-units "$$script" 1 $(user_unitdir) http
	install -m 644 -t $(user_unitdir) $(COMMON_UNITS:%=units/%)
	$(foreach drop_in,$(POLL_LIMIT_DROP_IN), \
		install -D -m 644 units/$(notdir $(drop_in)) $(user_unitdir)/$(drop_in))
	install -D -m 644 units/completion.bash $(user_bashdir)/novnc-gatectl
	install -D -m 644 -t $(user_mandir)/man1 man/*.1
	install -D -m 644 -t $(user_mandir)/man5 man/*.5
	install -D -m 644 -t $(user_mandir)/man8 man/*.8
	systemctl --user daemon-reload
	@units/move-over 'systemctl --user' $(user_unitdir) $(user_unitdir)
	@echo "Next: systemctl --user enable --now novnc-gate"
	@echo "journalctl --user -x explains entries once root has run:"
	@echo "  install -D -m 644 -t /usr/local/lib/systemd/catalog $(CURDIR)/units/novnc-gate.catalog \\"
	@echo "    $(CURDIR)/units/novnc-gatectl.catalog"
	@echo "  journalctl --update-catalog"

uninstall-user:
	$(call refuse_white_space,HOME)
	$(call remove_socket_units,systemctl --user,$(user_unitdir))
	$(call remove_conf,$(user_conf),$(user_sharedir))
	$(call remove_programs,$(user_bindir),$(user_libdir),$(user_bindir))
	rm -f $(COMMON_UNITS:%=$(user_unitdir)/%) $(user_unitdir)/novnc-gate-.socket.d/poll-limit.conf \
		$(user_bashdir)/novnc-gatectl $(user_mandir)/man1/novnc-gatectl.1 \
		$(user_mandir)/man5/novnc-gate.conf.5 $(user_mandir)/man8/novnc-gate.8
	$(call remove_empty_dirs,$(user_unitdir)/novnc-gate-.socket.d $(user_sharedir) $(user_libdir))
	systemctl --user daemon-reload

.PHONY: install uninstall install-user uninstall-user
