# tiergate: make | make check | make demo | make install. Everything is built in build/.
ifeq ($(origin CC),default)
CC := gcc
endif
B       ?= build
PREFIX  ?= /usr
PKGS    := libnetfilter_queue libnetfilter_conntrack libmnl libpcap libconfig liburcu nettle jansson libsystemd libcrypt libnghttp2
CFLAGS  ?= -O2 -g
TG_CFLAGS := -std=gnu17 -Wall -Wextra -Werror -Wno-unused-parameter -Wstrict-prototypes -Wvla -D_GNU_SOURCE -Idaemon \
             -fno-strict-aliasing -fstack-protector-strong $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread

LIB_SRC  := $(filter-out daemon/ctl/% daemon/portal/% daemon/main.c,$(wildcard daemon/*.c daemon/*/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$B/%.o)
MAIN_OBJ := $(patsubst %.c,$B/%.o,$(wildcard daemon/main.c))
CTL_OBJ  := $(patsubst %.c,$B/%.o,$(wildcard daemon/ctl/*.c))
PORTAL_OBJ := $(patsubst %.c,$B/%.o,$(wildcard daemon/portal/*.c))
UNIT     := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/*/test_*.c))
PROGRAMS := $(if $(MAIN_OBJ),$B/tiergated) $(if $(CTL_OBJ),$B/tiergatectl) $(if $(PORTAL_OBJ),$B/tiergate-portal)

all: $(PROGRAMS)

$B/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(TG_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$B/libtiergate.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$B/tiergated: $(MAIN_OBJ) $B/libtiergate.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)
$B/tiergatectl: $(CTL_OBJ) $B/libtiergate.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)
$B/tiergate-portal: $(PORTAL_OBJ) $B/libtiergate.a
	$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)

$B/unit/%: tests/unit/%.c $B/libtiergate.a
	@mkdir -p $(@D)
	$(CC) $(TG_CFLAGS) -Itests/unit $(CFLAGS) -MMD -MP -MF $@.d $< -o $@ $B/libtiergate.a $(LDFLAGS) $(LIBS) $(shell pkg-config --libs cmocka 2>/dev/null)

unit: $(UNIT)

# A target is tests/fuzz/fuzz_NAME.c; its corpus is tests/fuzz/corpus/NAME. The plain test run builds
# $B/fuzz-replay/fuzz_NAME and gives it the corpus; make fuzz searches for FUZZ_SECONDS a target.
FUZZ         := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_TARGET  ?= $(FUZZ)
FUZZ_SECONDS ?= 20
FUZZ_CFLAGS  := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined

fuzz-replay: $(FUZZ:%=$B/fuzz-replay/%)
$B/fuzz-replay/%: $B/tests/fuzz/%.o $B/tests/fuzz/replay_main.o $B/libtiergate.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)

fuzz:
	$(MAKE) B=$B/fuzz CC=clang CFLAGS='$(FUZZ_CFLAGS)' $(FUZZ_TARGET:%=$B/fuzz/%)
	@for t in $(FUZZ_TARGET); do n=$${t#fuzz_}; mkdir -p $B/fuzz/found/$$n; echo "== $$t"; \
		$B/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
			-artifact_prefix=$B/fuzz/$$n- $B/fuzz/found/$$n tests/fuzz/corpus/$$n || exit 1; done
$B/fuzz_%: $B/tests/fuzz/fuzz_%.o $B/libtiergate.a
	$(CC) $(CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDFLAGS) $(LIBS)

.SECONDARY:

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $B

.PHONY: all unit fuzz fuzz-replay format clean
-include $(shell find $B -name '*.d' 2>/dev/null)
