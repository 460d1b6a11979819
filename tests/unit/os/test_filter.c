/* os/filter.h: a text passes through another program, of whose life and end nobody else hears. */
#include "os/env.h"
#include "os/filter.h"
#include "os/inspect.h"
#include "unit/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 60000, SHORT_MS = 50 };

static char cat[] = "/bin/cat", sleep_long[] = "/bin/sleep", nowhere[] = "/nowhere/program",
            from_stdin[] = "-", hour[] = "3600";
static volatile sig_atomic_t ends;

static void count_end(int number)
{
    (void)number;
    ends++;
}

static void passes(int out, int in)
{
    struct os_filter filter;
    char got[6] = "";
    ck_assert(neb_os_filter_begin(&filter, cat, from_stdin, out));
    ck_assert(neb_os_write_all(filter.into, "words", 5));
    ck_assert(neb_os_filter_end(&filter, LONG_MS));
    ck_assert_int_eq(read(in, got, sizeof got), 5);
    ck_assert_str_eq(got, "words");
}

START_TEST(a_text_passes_through)
{
    int ends_of_pipe[2];
    ck_assert_int_eq(pipe(ends_of_pipe), 0);
    passes(ends_of_pipe[1], ends_of_pipe[0]);
}
END_TEST

/* The pipes get the numbers 0 to 2, which the program's own input and output are to have. */
START_TEST(closed_standard_descriptors_do_not_matter)
{
    int ends_of_pipe[2];
    ck_assert_int_eq(pipe(ends_of_pipe), 0);
    for (int i = 0; i < 3; i++)
        (void)close(i);
    passes(ends_of_pipe[1], ends_of_pipe[0]);
}
END_TEST

START_TEST(who_waits_for_children_does_not_meet_it)
{
    struct os_filter filter;
    struct sigaction action = {.sa_handler = count_end};
    ck_assert_int_eq(sigaction(SIGCHLD, &action, NULL), 0);
    ck_assert(neb_os_filter_begin(&filter, cat, from_stdin, 2));
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    ck_assert(neb_os_filter_end(&filter, LONG_MS));
    ck_assert_int_eq(ends, 0);
}
END_TEST

START_TEST(a_program_that_cannot_be_executed_or_fails_is_told)
{
    struct os_filter filter;
    static char fails[] = "/bin/false";
    ck_assert(!neb_os_can_execute(nowhere));
    ck_assert(neb_os_can_execute(fails));
    ck_assert(neb_os_filter_begin(&filter, nowhere, from_stdin, 2));
    ck_assert(!neb_os_filter_end(&filter, LONG_MS));
    ck_assert(neb_os_filter_begin(&filter, fails, from_stdin, 2));
    ck_assert(!neb_os_filter_end(&filter, LONG_MS));
}
END_TEST

START_TEST(a_program_that_hangs_is_ended_and_nobody_waits_while_writing)
{
    static char much[1 << 20];
    struct os_filter filter;
    ck_assert(neb_os_filter_begin(&filter, sleep_long, hour, 2));
    ck_assert(!neb_os_write_all(filter.into, much, sizeof much));
    ck_assert(!neb_os_filter_end(&filter, SHORT_MS));
    ck_assert_int_eq(kill(filter.child, 0), -1);
}
END_TEST

UNIT_MAIN("filter", HOLDS(a_text_passes_through), HOLDS(closed_standard_descriptors_do_not_matter),
          HOLDS(who_waits_for_children_does_not_meet_it),
          HOLDS(a_program_that_cannot_be_executed_or_fails_is_told),
          HOLDS(a_program_that_hangs_is_ended_and_nobody_waits_while_writing))
