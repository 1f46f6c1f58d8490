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

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $B

.PHONY: all unit format clean
-include $(shell find $B -name '*.d' 2>/dev/null)
