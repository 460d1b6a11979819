/* test_handler.c - claims about signal handlers that interrupt the allocator, without its exported names. */
#include "front/handler.h"

#include "front/alloc.h"
#include "heap/emergency.h"
#include "heap/owner.h"
#include "unit/heap/heaps.h"
#include <errno.h>
#include <setjmp.h>
#include <unistd.h>

enum { SHARED_ID = 1 };

static volatile sig_atomic_t calls;
static siginfo_t seen;
static void *handler_block, *program_block;
static uint32_t handler_owner, handler_entry;
static sigjmp_buf back;

static void count(int number)
{
    (void)number;
    calls = calls + 1;
}

static void look(int number, siginfo_t *info, void *context)
{
    ck_assert_ptr_nonnull(context);
    count(number);
    seen = *info;
}

static void allocate(int number)
{
    count(number);
    handler_block = neb_malloc(100);
    handler_entry = page_map_load(handler_block);
    handler_owner = entry_is_pooled(handler_entry) ? owner_of(handler_block) : 0;
}

static void jump(int number)
{
    allocate(number);
    siglongjmp(back, 1);
}

static void install(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    ck_assert_int_eq(neb_handler_action(number, &action, NULL), 0);
}

static struct heap *own_heap(void)
{
    return heap_make();
}

START_TEST(the_program_is_told_of_its_own_handler)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART}, old, kernel;
    ck_assert_int_eq(neb_handler_action(SIGUSR1, &action, NULL), 0);
    ck_assert_int_eq(neb_os_sigaction(SIGUSR1, NULL, &kernel), 0);
    ck_assert(kernel.sa_handler != count);
    ck_assert_int_eq(neb_handler_action(SIGUSR1, NULL, &old), 0);
    ck_assert(old.sa_handler == count);
    ck_assert_int_eq(old.sa_flags & (SA_RESTART | SA_SIGINFO), SA_RESTART);
    /* what somebody else has asked the kernel for, and sets again, works on */
    ck_assert_int_eq(neb_handler_action(SIGUSR1, &kernel, NULL), 0);
    ck_assert_int_eq(raise(SIGUSR1), 0);
    ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(nothing_is_put_between_where_it_is_not_wanted)
{
    struct sigaction kernel;
    neb_handler_set_wanted(false);
    install(SIGUSR1, count, 0);
    ck_assert_int_eq(neb_os_sigaction(SIGUSR1, NULL, &kernel), 0);
    ck_assert(kernel.sa_handler == count);
}
END_TEST

START_TEST(a_signal_waits_until_the_last_lock_is_given)
{
    struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
    ck_assert_int_eq(neb_handler_action(SIGUSR1, &action, NULL), 0);
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    neb_lock_take(&neb_locks[LOCK_META]);
    errno = 77;
    ck_assert_int_eq(raise(SIGUSR1), 0);
    ck_assert_int_eq(calls, 0);
    neb_lock_give(&neb_locks[LOCK_META]);
    ck_assert_int_eq(calls, 0);
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    ck_assert_int_eq(calls, 1);
    ck_assert_int_eq(errno, 77);
    ck_assert_int_eq(seen.si_signo, SIGUSR1);
    ck_assert_int_eq(seen.si_pid, getpid());
    ck_assert_int_eq(raise(SIGUSR1), 0); /* it is not blocked any more */
    ck_assert_int_eq(calls, 2);
}
END_TEST

START_TEST(several_signals_wait_and_all_come)
{
    install(SIGUSR1, count, SA_NODEFER);
    install(SIGUSR2, count, 0);
    install(SIGRTMIN + 3, count, 0);
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    raise(SIGUSR1);
    raise(SIGUSR2);
    raise(SIGRTMIN + 3);
    raise(SIGRTMIN + 3);
    ck_assert_int_eq(calls, 0);
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    ck_assert_int_eq(calls, 4);
}
END_TEST

START_TEST(a_try_that_fails_holds_nothing)
{
    install(SIGUSR1, count, 0);
    atomic_store(&neb_locks[LOCK_HUGE].state, 1); /* another thread's */
    ck_assert(!neb_lock_try(&neb_locks[LOCK_HUGE]));
    raise(SIGUSR1);
    ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(a_signal_waits_while_all_locks_are_held)
{
    install(SIGUSR1, count, 0);
    neb_locks_take_all();
    raise(SIGUSR1);
    neb_free(neb_malloc(100000)); /* takes and gives what is held */
    ck_assert_int_eq(calls, 0);
    neb_locks_give_all();
    ck_assert_int_eq(calls, 1);
    neb_locks_take_all();
    neb_locks_reset_all(); /* as in a child */
    raise(SIGUSR1);
    ck_assert_int_eq(calls, 2);
}
END_TEST

START_TEST(a_handler_that_is_called_once_does_not_wait)
{
    install(SIGUSR1, count, (int)SA_RESETHAND);
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    raise(SIGUSR1);
    ck_assert_int_eq(calls, 1);
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(a_handler_that_interrupted_the_program_uses_the_threads_heap)
{
    struct heap *mine = own_heap();
    install(SIGUSR1, allocate, 0);
    raise(SIGUSR1); /* the interrupted code is libc's */
    ck_assert_uint_eq(handler_owner, mine->id);
    ck_assert_ptr_eq(heap_current(), mine);
}
END_TEST

START_TEST(a_handler_that_interrupted_a_slow_path_uses_the_shared_heap)
{
    struct heap *mine = heap_use(own_heap()); /* and no malloc is watched: the fast path would see it */
    install(SIGUSR1, allocate, 0);
    program_block = neb_malloc(100);
    ck_assert_ptr_eq(neb_heap_enter(), mine);
    raise(SIGUSR1);
    neb_heap_leave(mine);
    ck_assert_uint_eq(handler_owner, SHARED_ID);
    ck_assert_ptr_eq(heap_current(), mine);
    ck_assert_uint_eq(neb_tls.state, THREAD_HAS_HEAP);
    ck_assert_ptr_eq(heap_source(), mine);
    neb_free(handler_block);
    neb_free(program_block);
}
END_TEST

static void free_in_the_handler(int number)
{
    count(number);
    neb_free(program_block);
}

START_TEST(what_it_frees_of_the_interrupted_heap_goes_there_as_a_batch)
{
    struct heap *mine = own_heap();
    install(SIGUSR1, free_in_the_handler, 0);
    program_block = heap_take(mine, CLASS_4096);
    neb_heap_enter();
    raise(SIGUSR1);
    neb_heap_leave(mine);
    uint64_t before = count_of(&mine->pool[CLASS_4096].counts.returned);
    neb_lock_take(&neb_locks[LOCK_SHARED_HEAP]);
    neb_heap_empty_outbox(&neb_heap_shared);
    neb_lock_give(&neb_locks[LOCK_SHARED_HEAP]);
    ck_assert(neb_inbox_has_batches(&mine->inbox));
    neb_heap_apply_inbox(mine);
    ck_assert_uint_eq(count_of(&mine->pool[CLASS_4096].counts.returned), before + 1);
}
END_TEST

static void interrupt_and_jump(void)
{
    if (sigsetjmp(back, 1) == 0) {
        neb_heap_enter();
        raise(SIGUSR1);
        ck_abort_msg("the handler did not jump");
    }
}

START_TEST(a_handler_that_is_left_by_a_jump_ends_at_the_next_slow_call)
{
    struct heap *mine = own_heap();
    program_block = neb_malloc(100);
    install(SIGUSR1, jump, 0);
    interrupt_and_jump();
    ck_assert_uint_eq(neb_tls.state, THREAD_IN_HANDLER);
    void *block = neb_malloc(100);
    ck_assert_uint_eq(neb_tls.state, THREAD_HAS_HEAP);
    /* the interrupted heap was not whole: another took its place */
    ck_assert_ptr_ne(heap_current(), mine);
    ck_assert_uint_eq(owner_of(block), heap_current()->id);
    neb_free(block);
    neb_free(program_block);
    neb_free(handler_block);
}
END_TEST

START_TEST(a_handler_after_one_that_was_left_is_a_first_one)
{
    (void)own_heap();
    install(SIGUSR1, jump, 0);
    interrupt_and_jump();
    install(SIGUSR2, allocate, 0);
    raise(SIGUSR2);
    ck_assert_uint_ne(neb_tls.state, THREAD_IN_HANDLER);
}
END_TEST

static void emergency(int number)
{
    int before = errno = 0;
    allocate(number);
    ck_assert_int_eq(errno, before);
    ck_assert_uint_eq(handler_entry, ENTRY_EMERGENCY);
    ck_assert_ptr_null(neb_malloc(1 << 20));
    ck_assert_int_eq(errno, ENOMEM);
    unsigned char *zeroed = neb_calloc(100, 10);
    ck_assert(all_bytes_are(zeroed, 1000, 0));
    neb_free(zeroed);
    unsigned char *moved = neb_realloc(program_block, 5000);
    ck_assert(all_bytes_are(moved, 3000, 0x42));
    ck_assert_uint_eq(page_map_load(moved), ENTRY_EMERGENCY);
    ck_assert_uint_ge(neb_usable_size(moved), 5000);
    ck_assert_uint_eq(neb_trim(), 0);
    handler_block = moved;
}

START_TEST(what_cannot_wait_is_served_without_a_lock)
{
    (void)own_heap();
    program_block = neb_malloc(3000);
    memset(program_block, 0x42, 3000);
    install(SIGABRT, emergency, 0);
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++)
        neb_lock_take(&neb_locks[rank]);
    raise(SIGABRT);
    for (unsigned rank = LOCK_COUNT; rank-- > 0;)
        neb_lock_give(&neb_locks[rank]);
    ck_assert_int_eq(calls, 1);
    unsigned char *block = neb_realloc(handler_block, 9000); /* later, by ordinary code */
    ck_assert(all_bytes_are(block, 3000, 0x42));
    ck_assert_uint_ne(page_map_load(block), ENTRY_EMERGENCY);
    neb_free(block);
}
END_TEST

START_TEST(own_code_is_told_from_libcs)
{
    uintptr_t inside = (uintptr_t)&own_heap, outside = (uintptr_t)&getpid;
    ck_assert(neb_os_is_own_code(inside));
    ck_assert(!neb_os_is_own_code(outside));
}
END_TEST

START_TEST(an_alternate_stack_is_told_from_the_threads)
{
    static unsigned char stack[1 << 16];
    ucontext_t context;
    memset(&context, 0, sizeof context);
    context.uc_stack = (stack_t){.ss_sp = stack, .ss_size = sizeof stack};
    ck_assert_uint_eq(neb_signal_stack_depth(&context, (uintptr_t)(stack + 1000)), 1000);
    ck_assert_uint_eq(neb_signal_stack_depth(&context, (uintptr_t)(stack + sizeof stack)), 0);
    ck_assert_uint_eq(neb_signal_stack_depth(&context, (uintptr_t)&context), 0);
}
END_TEST

UNIT_MAIN("handler", HOLDS(the_program_is_told_of_its_own_handler), HOLDS(nothing_is_put_between_where_it_is_not_wanted),
          HOLDS(a_signal_waits_until_the_last_lock_is_given), HOLDS(several_signals_wait_and_all_come),
          HOLDS(a_try_that_fails_holds_nothing), HOLDS(a_signal_waits_while_all_locks_are_held),
          HOLDS(a_handler_that_is_called_once_does_not_wait), HOLDS(a_handler_that_interrupted_the_program_uses_the_threads_heap),
          HOLDS(a_handler_that_interrupted_a_slow_path_uses_the_shared_heap),
          HOLDS(what_it_frees_of_the_interrupted_heap_goes_there_as_a_batch),
          HOLDS(a_handler_that_is_left_by_a_jump_ends_at_the_next_slow_call),
          HOLDS(a_handler_after_one_that_was_left_is_a_first_one), HOLDS(what_cannot_wait_is_served_without_a_lock),
          HOLDS(own_code_is_told_from_libcs), HOLDS(an_alternate_stack_is_told_from_the_threads))
