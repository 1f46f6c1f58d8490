# tiergate: make | make demo | make check | make install. Everything is built in build/ (B=).
# Tests: mutate unit golden live live-qemu differential adversary browser adversary honest fuzz bench bench-full asan ubsan tsan soak soak-login time-machine cover. Code: format lint.
ifeq ($(origin CC),default)
CC := gcc
endif
B       ?= build
PREFIX  ?= /usr
PKGS    := libnetfilter_queue libmnl libpcap libconfig liburcu nettle jansson libsystemd libcrypt libnghttp2 libidn2 libfstrm libprotobuf-c zlib libpsl libical libseccomp
CFLAGS  ?= -O2 -g
TG_CFLAGS := -std=gnu17 -Wall -Wextra -Werror -Wno-unused-parameter -Wstrict-prototypes -Wvla -D_GNU_SOURCE -Idaemon -I$B/daemon \
             -fno-strict-aliasing -fstack-protector-strong $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS    := -Wl,--as-needed $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm
CMOCKA  := $(shell pkg-config --libs cmocka 2>/dev/null)
# of the portal alone: what reads packets is not linked with them
PORTAL_LIBS := -Wl,--as-needed $(shell pkg-config --libs libmicrohttpd gnutls 2>/dev/null) -lpam

# of tiergatectl alone
CTL_LIBS := -Wl,--as-needed $(shell pkg-config --libs ncursesw 2>/dev/null)

LIB_SRC  := $(filter-out daemon/ctl/% daemon/portal/% daemon/radius/%,$(wildcard daemon/*/*.c))
DNSTAP   := $B/daemon/dns/dnstap.pb-c
LIB_OBJ  := $(LIB_SRC:%.c=$B/%.o) $(DNSTAP).o
MAIN_OBJ := $B/daemon/main.o
CTL_OBJ  := $(patsubst %.c,$B/%.o,$(wildcard daemon/ctl/*.c))
PORTAL_OBJ := $(patsubst %.c,$B/%.o,$(wildcard daemon/portal/*.c daemon/radius/*.c))
PORTAL_LIB := $B/libportal.a
UNIT     := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/*/test_*.c))
PROGRAMS := $B/tiergated $B/tiergatectl $B/tiergate-portal

all: $(PROGRAMS)

$B/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(TG_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$B/daemon/base/version.o: packaging/VERSION
$B/daemon/base/version.o: TG_CFLAGS += -DTIERGATE_VERSION='"$(shell cat packaging/VERSION)"'

$(DNSTAP).c: daemon/dns/dnstap.proto
	@mkdir -p $(@D)
	protoc-c -Idaemon --c_out=$B/daemon $<
$(DNSTAP).o: $(DNSTAP).c
	$(CC) $(TG_CFLAGS) $(CFLAGS) -c $< -o $@
$B/daemon/dns/dnstap.o: $(DNSTAP).c

$B/libtiergate.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$B/tiergated: $(MAIN_OBJ) $B/libtiergate.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)
$B/tiergatectl: $(CTL_OBJ) $B/libtiergate.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(CTL_LIBS) $(LIBS)
$B/tiergate-portal: $(PORTAL_OBJ) $B/libtiergate.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(PORTAL_LIBS) $(LIBS)
$B/daemon/portal/assets.o: daemon/portal/style.css
$B/daemon/name/probe.o: rules/captive-checks.sites
$(PORTAL_LIB): $(filter-out %/main.o,$(PORTAL_OBJ))
	@rm -f $@
	$(AR) rcs $@ $^

# A test is linked with what it uses of both (--as-needed), and compiled only where it has changed itself.
$B/tests/unit/%.o: TG_CFLAGS += -Itests/unit
$(UNIT:$B/unit/%=$B/tests/unit/%.o): | $(DNSTAP).c
$B/unit/%: $B/tests/unit/%.o $(PORTAL_LIB) $B/libtiergate.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $(filter %.o %.a,$^) $(LDFLAGS) $(PORTAL_LIBS) $(LIBS) $(CMOCKA)

unit: $(UNIT)
$B/unit/gateway/test_machine: $B/time-machine

# A target is tests/fuzz/fuzz_NAME.c; its corpus is tests/fuzz/corpus/NAME. The plain test run builds
# $B/fuzz-replay/fuzz_NAME and gives it the corpus; make fuzz searches for FUZZ_SECONDS a target.
FUZZ         := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_TARGET  ?= $(FUZZ)
FUZZ_SECONDS ?= 20
FUZZ_CFLAGS  := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined

fuzz-replay: $(FUZZ:%=$B/fuzz-replay/%)
$B/fuzz-replay/%: $B/tests/fuzz/%.o $B/tests/fuzz/replay_main.o $(PORTAL_LIB) $B/libtiergate.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(PORTAL_LIBS) $(LIBS)

fuzz:
	$(MAKE) B=$B/fuzz CC=clang CFLAGS='$(FUZZ_CFLAGS)' $(FUZZ_TARGET:%=$B/fuzz/%)
	@for t in $(FUZZ_TARGET); do n=$${t#fuzz_}; mkdir -p $B/fuzz/found/$$n; echo "== $$t"; \
		$B/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
			-artifact_prefix=$B/fuzz/$$n- $B/fuzz/found/$$n tests/fuzz/corpus/$$n || exit 1; done
$B/fuzz_%: $B/tests/fuzz/fuzz_%.o $(PORTAL_LIB) $B/libtiergate.a
	$(CC) $(CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDFLAGS) $(PORTAL_LIBS) $(LIBS)

# The daemon on a simulated clock and network (tests/machine/README.md): what it asks of the system
# is answered by the test, the rest is linked as it is.
MACHINE_WRAP := clock_gettime nanosleep getrandom open rename write fsync setpriority pthread_create pthread_join \
                pthread_cancel pthread_once pthread_setname_np urcu_memb_register_thread urcu_memb_unregister_thread \
                neighbours_follow neighbours_fd neighbours_read neighbours_solicit confine tool_helper
MACHINE_OBJ  := $(patsubst %.c,$B/%.o,$(wildcard tests/machine/*.c))
$B/time-machine: $(MACHINE_OBJ) $B/libtiergate.a
	$(CC) $(CFLAGS) $(MACHINE_WRAP:%=-Wl,--wrap=%) -o $@ $^ $(LDFLAGS) $(LIBS)
# SEEDS weeks of a school from seed FIRST on; a failure is cut down to the smallest script.
SEEDS ?= 200
FIRST ?= 1
time-machine: $B/time-machine
	$B/time-machine --seeds $(SEEDS) --seed $(FIRST)

.SECONDARY:

# --- tests: each prints "N passed, N failed, N skipped" last; SUITES= picks ---
SUITES  ?= runner unit conf golden fuzz live packages
QUIET    = $(MAKE) -s --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
RUN      = TIERGATE_BUILD=$B tests/run
BENCH   := $(patsubst tests/bench/%.c,$B/bench/%,$(wildcard tests/bench/bench_*.c))

tests: all unit fuzz-replay $B/live/wall_clock.so $B/live/hello_load $B/live/queue_probe $B/live/conntrack_probe

check: # in a make of its own: what install-deps brings decides what is built
	@scripts/install-deps build test $(filter packages,$(SUITES))
	@$(QUIET) tests
	@mkdir -p $B # packages are of what is committed: where nothing is, their tests say so and are skipped
	@! { [ "$(filter packages,$(SUITES))" ] && git rev-parse -q --verify HEAD >/dev/null 2>&1; } || \
		$(MAKE) packages-twice >$B/packages.log 2>&1 || { tail -n 60 $B/packages.log; exit 1; }
	@$(RUN) $(SUITES)

golden live conf: tests
	@$(RUN) $@
golden-update: all
	tests/golden/run --update
# The differential tests with other heads and hellos: SECONDS of each, from SEED on.
SECONDS ?= 60
SEED    ?= $(shell date +%s)
differential: all
	@scripts/install-deps build test
	tests/live/test_differential.py $(SEED) $(SECONDS)
	tests/live/test_differential_tls.py $(SEED) $(SECONDS)
# Clients that try to get past the gateway: SECONDS of each, from SEED on.
adversary: all
	@scripts/install-deps build test
	@for a in tests/live/adversary*.py; do echo "== $$a"; TIERGATE_BUILD=$B $$a --seconds $(SECONDS) --seed $(SEED) || exit 1; done
# Ordinary clients on networks that lose, delay, reorder and duplicate: none may be denied.
CONNECTIONS ?= 2000
honest: all
	@scripts/install-deps build test
	@TIERGATE_BUILD=$B tests/live/honest.py --connections $(CONNECTIONS) --seed $(SEED)
# Would the tests notice a fault? FOLDER of daemon/ (default: all), COUNT faults each, from SEED.
COUNT ?= 40
mutate:
	@scripts/install-deps build test
	scripts/mutate --folder "$(FOLDER)" --count $(COUNT) --seed $(SEED)
live-qemu: tests
	@scripts/install-deps build test qemu
	@$(RUN) qemu
browser: tests
	@scripts/install-deps build test browser
	@$(RUN) browser

# The whole run under a sanitizer, without the suites that only measure the machine.
asan:  SANITIZE := address,undefined
ubsan: SANITIZE := undefined
tsan:  SANITIZE := thread
asan ubsan tsan:
	@$(QUIET) B=$B/$@ tests \
		CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined -Wno-error'
	@TIERGATE_BUILD=$B/$@ TSAN_OPTIONS='suppressions=tests/tsan.supp' tests/run $(SUITES)
# A gateway under honest and hostile load and all that an administrator does: plain, and with sanitizers. See soak.py.
MINUTES ?= 40
soak: tests
	@scripts/install-deps build test
	@$(QUIET) B=$B/asan tests \
		CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -Wno-error'
	@TIERGATE_BUILD=$B tests/live/soak.py --minutes $(MINUTES)
	@TIERGATE_BUILD=$B/asan tests/live/soak.py --minutes $(MINUTES)
# 10,000 logins through the pages of a portal, and to a daemon, that are built with sanitizers.
soak-login: SANITIZE := address,undefined
soak-login:
	@scripts/install-deps build test
	@$(QUIET) B=$B/asan all \
		CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined -Wno-error'
	@TIERGATE_BUILD=$B/asan tests/live/soak_login.py $(LOGINS)
cover:
	@scripts/install-deps dev
	@$(QUIET) B=$B/cover CFLAGS='-O0 -g --coverage' tests
	@TIERGATE_BUILD=$B/cover tests/run $(SUITES)
	gcovr -r . --object-directory $B/cover -f daemon/ --sort-uncovered

$B/bench/%: tests/bench/%.c $B/libtiergate.a
	@mkdir -p $(@D)
	$(CC) $(TG_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d $< -o $@ $B/libtiergate.a $(LDFLAGS) $(LIBS)
$B/live/%: tests/live/%.c
	@mkdir -p $(@D)
	$(CC) -O2 -g -Wall -Wextra -o $@ $< -lpthread
$B/live/%.so: tests/live/%.c
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra -D_GNU_SOURCE -shared -fPIC -o $@ $< -ldl
$B/live/%_probe: tests/live/%_probe.c $B/libtiergate.a
	@mkdir -p $(@D)
	$(CC) $(TG_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d $< -o $@ $B/libtiergate.a $(LDFLAGS) $(LIBS)
$B/live/nfq_limit: tests/live/nfq_limit.c
	@mkdir -p $(@D)
	$(CC) -O2 -g -Wall -Wextra -o $@ $< $(LIBS)

bench: all $(BENCH) $B/live/hello_load $B/live/nfq_limit
	@for b in $(filter-out %/bench_worker,$(BENCH)); do echo "== $$b"; $$b || exit 1; done
	@echo "== tests/bench/offline"; TIERGATE_BUILD=$B tests/bench/offline
	@echo "== tests/bench/try"; TIERGATE_BUILD=$B tests/bench/try
	@scripts/bench-live
# against the peers that scripts/install-deps bench brings; figures in $B/bench
bench-full: all $B/bench/bench_worker $B/live/hello_load $B/live/nfq_limit $B/live/bulk_load
	@scripts/install-deps bench
	@TIERGATE_BUILD=$B tests/bench/offline --full
	@scripts/bench-full
	@TIERGATE_BUILD=$B scripts/bench-reload

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i
lint: all
	@scripts/install-deps dev
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
	scripts/lint-layers
	scripts/lint-circles $B
	cppcheck -q -j2 --std=c17 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=uninitvar --suppress=unknownMacro \
		--suppress=comparePointers --suppress=nullPointerRedundantCheck:daemon/state/names.c --suppress=returnDanglingLifetime:daemon/state/encode.c -D_GNU_SOURCE -Idaemon daemon

# What an administrator sees, as text and pictures, in $B/pictures: to be looked at.
pictures: all
	@scripts/install-deps build test browser
	@TIERGATE_BUILD=$B scripts/pictures $B/pictures

# --- demo and installation ---
demo:
	@scripts/install-deps build test
	@$(QUIET) all
	@scripts/demo

SBIN    := $(DESTDIR)$(PREFIX)/sbin
BIN     := $(DESTDIR)$(PREFIX)/bin
UNITDIR ?= $(PREFIX)/lib/systemd/system
ETC     := $(DESTDIR)/etc/tiergate
put      = install -D -m $1 $2 $3

install: all
	$(call put,755,$B/tiergated,$(SBIN)/tiergated)
	$(call put,755,$B/tiergatectl,$(BIN)/tiergatectl)
	$(call put,755,$B/tiergate-portal,$(SBIN)/tiergate-portal)
	for u in packaging/systemd/*.service packaging/systemd/*.socket; do install -d $(DESTDIR)$(UNITDIR) && \
		sed 's,@PREFIX@,$(PREFIX),g' $$u >$(DESTDIR)$(UNITDIR)/$${u##*/} || exit 1; done
	$(call put,644,packaging/tiergate.sysusers,$(DESTDIR)/usr/lib/sysusers.d/tiergate.conf)
	$(call put,644,packaging/tiergate.tmpfiles,$(DESTDIR)/usr/lib/tmpfiles.d/tiergate.conf)
	$(call put,644,packaging/prometheus/tiergate.rules.yml,$(DESTDIR)$(PREFIX)/share/tiergate/prometheus.rules.yml)
	$(call put,644,packaging/grafana/tiergate.json,$(DESTDIR)$(PREFIX)/share/tiergate/grafana.json)
	for f in tiergate portal; do \
		$(call put,644,conf/$$f.conf,$(DESTDIR)$(PREFIX)/share/tiergate/$$f.conf) || exit 1; done
	for f in tiergate collector; do \
		$(call put,644,packaging/rsyslog/$$f.conf,$(DESTDIR)$(PREFIX)/share/tiergate/rsyslog/$$f.conf) || exit 1; done
	$(call put,644,packaging/pam/tiergate,$(DESTDIR)$(PREFIX)/share/doc/tiergate/pam.d-tiergate)
	$(call put,644,packaging/tiergate.logrotate,$(DESTDIR)/etc/logrotate.d/tiergate)
	$(call put,644,packaging/completions/tiergatectl.bash,$(DESTDIR)$(PREFIX)/share/bash-completion/completions/tiergatectl)
	$(call put,644,packaging/completions/_tiergatectl,$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_tiergatectl)
	$(call put,644,packaging/completions/tiergatectl.fish,$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tiergatectl.fish)
	for m in $(wildcard packaging/man/*.[1-9]); do \
		install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m##*/} || exit 1; done
	install -d -m 755 $(ETC) $(ETC)/rules $(ETC)/portal
	for f in $(wildcard conf/*.conf conf/portal/*.text rules/*.conf rules/*.sites rules/*.ics); do \
		test -e $(ETC)/$${f#conf/} || install -m 644 $$f $(ETC)/$${f#conf/} || exit 1; done

# What install put there; the configuration, logs and state stay.
uninstall:
	rm -f $(SBIN)/tiergated $(BIN)/tiergatectl $(SBIN)/tiergate-portal
	for u in packaging/systemd/*.service packaging/systemd/*.socket; do rm -f $(DESTDIR)$(UNITDIR)/$${u##*/}; done
	rm -f $(DESTDIR)/usr/lib/sysusers.d/tiergate.conf $(DESTDIR)/usr/lib/tmpfiles.d/tiergate.conf $(DESTDIR)/etc/logrotate.d/tiergate
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tiergatectl
	rm -f $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_tiergatectl $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tiergatectl.fish
	rm -rf $(DESTDIR)$(PREFIX)/share/tiergate $(DESTDIR)$(PREFIX)/share/doc/tiergate
	for m in $(wildcard packaging/man/*.[1-9]); do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m##*/}; done

# --- packages, of what is committed: $B/tiergate-VERSION.tar.gz, and Debian's in $B/deb ---
VERSION := $(shell cat packaging/VERSION)
DIST    := tiergate-$(VERSION)
dist:
	@mkdir -p $B
	git archive --prefix=$(DIST)/ HEAD | gzip -n9 >$B/$(DIST).tar.gz
deb: dist
	@scripts/install-deps build packages
	rm -rf $B/deb && mkdir -p $B/deb
	cp $B/$(DIST).tar.gz $B/deb/tiergate_$(VERSION).orig.tar.gz
	tar -C $B/deb -xf $B/$(DIST).tar.gz
	cp -r $B/deb/$(DIST)/packaging/debian $B/deb/$(DIST)/debian
	@test "$$(cd $B/deb/$(DIST) && dpkg-parsechangelog -SVersion)" = $(VERSION)-1 || \
		{ echo "packaging/debian/changelog is not of version $(VERSION)"; exit 1; }
	cd $B/deb/$(DIST) && dpkg-buildpackage -us -uc -b
	lintian --fail-on error,warning $B/deb/*.changes
# Where rpm is not a distribution's own, its packages' names are not known and units are where they are with us.
rpm: dist
	@scripts/install-deps build packages
	rm -rf $B/rpm && mkdir -p $B/rpm/SOURCES && cp $B/$(DIST).tar.gz $B/rpm/SOURCES
	rpmbuild --nodeps --define "_topdir $(abspath $B)/rpm" --define "version $(VERSION)" \
		--define "_unitdir $$(rpm --eval '%{?_unitdir}%{!?_unitdir:/usr/lib/systemd/system}')" -ba packaging/rpm/tiergate.spec
# Built twice: what is the same twice can be checked by others.
packages-twice: deb rpm
	cd $B/deb && sha256sum *.deb >$(abspath $B)/deb.sums
	@$(MAKE) -s deb
	cd $B/deb && sha256sum --quiet -c $(abspath $B)/deb.sums
packages-test: packages-twice
	@scripts/install-deps test
	@$(QUIET) tests
	@$(RUN) packages

clean:
	rm -rf $B

.PHONY: all unit tests check mutate golden golden-update live conf live-qemu differential adversary honest browser fuzz fuzz-replay asan ubsan tsan \
	soak soak-login time-machine cover bench bench-full format lint pictures demo install uninstall dist deb rpm packages-twice packages-test clean
-include $(shell find $B \( -path $B/deb -o -path $B/mutate \) -prune -o -type f -name '*.d' -print 2>/dev/null)
