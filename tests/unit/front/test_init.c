/* front/init.h: options reach the core; fork and the end of threads are watched. */
#include "front/alloc.h"
#include "front/init.h"
#include "heap/pool.h"
#include "heap/upkeep.h"
#include "unit/unit.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static char setting[] = "NEBMALLOC=decay_ms=12345", nothing[] = "A=B";

START_TEST(options_of_the_environment_are_applied_once)
{
    char *environment[] = {nothing, setting, NULL}, *empty[] = {NULL};
    neb_init(environment);
    ck_assert_uint_eq(neb_heap_decay(), 12345);
    neb_init(empty);
    ck_assert_uint_eq(neb_heap_decay(), 12345);
}
END_TEST

START_TEST(without_the_variable_defaults_hold)
{
    char *environment[] = {nothing, NULL};
    neb_init(environment);
    ck_assert_uint_eq(neb_heap_decay(), DECAY_MS_DEFAULT);
    neb_exit(); /* says nothing, since nothing was asked for */
}
END_TEST

static void *allocate(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 1000; i++)
        neb_free(neb_malloc(i));
    return NULL;
}

START_TEST(heaps_of_threads_that_ended_serve_again)
{
    neb_init(NULL);
    neb_free(neb_malloc(1));
    uint32_t bound = 0;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, allocate, NULL), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        if (i == 0)
            bound = neb_heap_id_bound();
    }
    ck_assert_uint_eq(neb_heap_id_bound(), bound);
}
END_TEST

static pthread_key_t late_key;
static char rounds[8]; /* the address of an element is the number of a round */
static int late_round; /* in which round of its destructors the next thread allocates first */

static void allocate_late(void *value)
{
    char *round = value;
    if (round == rounds + late_round)
        (void)allocate(NULL);
    else
        (void)pthread_setspecific(late_key, round + 1);
}

static void *end_with_allocations(void *first)
{
    (void)pthread_setspecific(late_key, first);
    return NULL;
}

/* A thread that never allocated before its destructors run gets its heap there; it must be given up as well.
 */
START_TEST(heaps_made_while_a_thread_ends_serve_again)
{
    neb_init(NULL);
    neb_free(neb_malloc(1));
    ck_assert_int_eq(pthread_key_create(&late_key, allocate_late), 0);
    /* ThreadSanitizer takes a thread's state away in the last round, where a heap of the second is given up.
     */
    for (int round = 1; round <= (UNIT_SANITIZED ? 1 : 2); round++) {
        uint32_t bound = 0;
        late_round = round;
        for (int i = 0; i < 50; i++) {
            pthread_t thread;
            ck_assert_int_eq(pthread_create(&thread, NULL, end_with_allocations, rounds + 1), 0);
            ck_assert_int_eq(pthread_join(thread, NULL), 0);
            if (i == 0)
                bound = neb_heap_id_bound();
        }
        ck_assert_msg(neb_heap_id_bound() == bound, "%u heaps were lost in round %d",
                      neb_heap_id_bound() - bound, round);
    }
}
END_TEST

static _Atomic bool is_over;

static void *allocate_until_it_is_over(void *unused)
{
    while (!atomic_load_explicit(&is_over, memory_order_relaxed))
        (void)allocate(unused);
    return NULL;
}

static void child(void *inherited)
{
    alarm(UNIT_SECONDS / 2);
    if (!all_bytes_are(inherited, 5000, 0x77))
        _exit(1);
    neb_free(inherited);
    for (unsigned i = 0; i < 300; i++) {
        void *p = neb_calloc(1, i * 1000);
        if (p == NULL || !all_bytes_are(p, i * 1000, 0))
            _exit(2);
        neb_free(p);
    }
    (void)neb_trim();
    _exit(42);
}

START_TEST(the_child_of_a_threaded_process_can_allocate_and_free)
{
    pthread_t thread[3];
    neb_init(NULL);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, allocate_until_it_is_over, NULL), 0);
    for (int i = 0; i < 50; i++) {
        void *p = neb_malloc(5000);
        memset(p, 0x77, 5000);
        pid_t process = fork();
        ck_assert_int_ge(process, 0);
        if (process == 0)
            child(p);
        int status;
        ck_assert_int_eq(waitpid(process, &status, 0), process);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %#x", (unsigned)status);
        ck_assert(all_bytes_are(p, 5000, 0x77));
        neb_free(p);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
}
END_TEST

UNIT_MAIN("init", HOLDS(options_of_the_environment_are_applied_once),
          HOLDS(without_the_variable_defaults_hold), HOLDS(heaps_of_threads_that_ended_serve_again),
          HOLDS(heaps_made_while_a_thread_ends_serve_again),
          HOLDS(the_child_of_a_threaded_process_can_allocate_and_free))
