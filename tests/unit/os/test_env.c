/* os/env.h: variables, writing, mappings, signals. */
#include "base/panic.h"
#include "base/ptr.h"
#include "os/env.h"
#include "os/vm.h"
#include "unit/unit.h"
#include <fcntl.h>
#include <unistd.h>

static char a1[] = "NEBMALLOCX=1", a2[] = "NEBMALLOC", a3[] = "XNEBMALLOC=3", a4[] = "NEBMALLOC=a=b,c=d",
            a5[] = "NEBMALLOC=second", a6[] = "E=";

START_TEST(a_variable_is_found_by_its_whole_name)
{
    char *environment[] = {a1, a2, a3, a4, a5, a6, NULL};
    ck_assert_str_eq(neb_env_value(environment, "NEBMALLOC"), "a=b,c=d");
    ck_assert_str_eq(neb_env_value(environment, "NEBMALLOCX"), "1");
    ck_assert_str_eq(neb_env_value(environment, "E"), "");
    ck_assert_ptr_null(neb_env_value(environment, "NEBMALLO"));
    ck_assert_ptr_null(neb_env_value(environment, "MALLOC"));
    ck_assert_ptr_null(neb_env_value(NULL, "NEBMALLOC"));
    ck_assert_ptr_null(neb_env_value(environment + 6, "NEBMALLOC"));
}
END_TEST

START_TEST(all_bytes_are_written)
{
    int ends[2];
    char data[1000], found[1001];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)('a' + i % 26);
    ck_assert_int_eq(pipe(ends), 0);
    neb_os_write(ends[1], data, sizeof data);
    ck_assert_int_eq(read(ends[0], found, sizeof found), (int)sizeof data);
    ck_assert(memcmp(data, found, sizeof data) == 0);
    neb_os_write(-1, data, sizeof data); /* a closed descriptor ends it */
}
END_TEST

START_TEST(a_complaint_is_one_line_even_if_it_is_long)
{
    int ends[2];
    char what[1000], found[2000];
    memset(what, 'x', sizeof what - 1);
    what[sizeof what - 1] = '\0';
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], 2), 0);
    neb_os_complain("short");
    ssize_t count = read(ends[0], found, sizeof found - 1);
    ck_assert_int_gt((int)count, 0);
    found[count] = '\0';
    ck_assert_str_eq(found, "nebmalloc: short\n");
    neb_os_complain(what);
    count = read(ends[0], found, sizeof found);
    ck_assert_int_gt((int)count, 100);
    ck_assert_int_eq(found[count - 1], '\n');
}
END_TEST

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    signals = number;
}

START_TEST(a_signal_is_taken_only_if_nobody_has_it)
{
    ck_assert(neb_os_on_signal(SIGUSR1, on_signal));
    ck_assert_int_eq(raise(SIGUSR1), 0);
    ck_assert_int_eq(signals, SIGUSR1);
    ck_assert(!neb_os_on_signal(SIGUSR1, on_signal));
    ck_assert(!neb_os_on_signal(SIGKILL, on_signal));
    ck_assert(!neb_os_on_signal(1000, on_signal));
}
END_TEST

START_TEST(a_kept_descriptor_survives_the_original)
{
    int ends[2];
    char found[8];
    ck_assert_int_eq(pipe(ends), 0);
    int kept = neb_os_keep_descriptor(ends[1]);
    ck_assert_int_ge(kept, 200);
    ck_assert_int_eq(fcntl(kept, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(close(ends[1]), 0);
    neb_os_write(kept, "kept", 4);
    ck_assert_int_eq(read(ends[0], found, sizeof found), 4);
}
END_TEST

START_TEST(the_clock_never_runs_backwards)
{
    uint32_t first = neb_clock_ms(), before = first;
    while (before - first < 20) {
        uint32_t now = neb_clock_ms();
        ck_assert_uint_lt(now - before, UINT32_C(1) << 31);
        before = now;
    }
}
END_TEST

START_TEST(usage_counts_what_is_touched)
{
    size_t bytes = (size_t)8 << 20;
    struct os_usage before = neb_os_usage();
    unsigned char *base = neb_vm_map(bytes);
    memset(base, 1, bytes);
    struct os_usage after = neb_os_usage();
    ck_assert_uint_gt(before.resident_bytes, 0);
    ck_assert_uint_gt(after.resident_bytes, before.resident_bytes + bytes / 2);
    ck_assert_uint_ge(after.resident_peak_bytes, bytes);
    ck_assert_uint_gt(after.minor_faults, before.minor_faults);
}
END_TEST

START_TEST(a_failed_check_aborts)
{
    CHECK(signals == 0);
    CHECK(signals != 0);
}
END_TEST

UNIT_MAIN("env", HOLDS(a_variable_is_found_by_its_whole_name), HOLDS(all_bytes_are_written),
          HOLDS(a_complaint_is_one_line_even_if_it_is_long),
          HOLDS(a_signal_is_taken_only_if_nobody_has_it), HOLDS(a_kept_descriptor_survives_the_original),
          HOLDS(the_clock_never_runs_backwards), HOLDS(usage_counts_what_is_touched),
          ABORTS(a_failed_check_aborts))
