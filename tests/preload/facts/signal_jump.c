/* signal_jump.c - a handler that interrupted anything, often the allocator, is left with siglongjmp, again and again: the
 * heap lives on. What the jump interrupted in its middle may be lost; nothing that the program still has may break.
 *
 * Variants: plain alternate deep
 * Alone: glibc's malloc waits for itself for ever
 */
#include "boxes.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

enum { JUMPS = 1500, KEPT = 200 };

static struct boxes boxes;
static sigjmp_buf back;
static volatile sig_atomic_t may_jump;

static void on_timer(int number)
{
    unsigned x = (unsigned)number;

    for (int i = 0; i < 3; i++)
        free(malloc(opaque_size(box_random(&x) % 5000u)));
    if (may_jump) {
        may_jump = 0;
        siglongjmp(back, 1);
    }
}

static void timer_set(unsigned after_us)
{
    struct itimerval once = {{0, 0}, {0, after_us}};

    setitimer(ITIMER_REAL, &once, NULL);
}

/* Calls from further down the stack than the handler was: they cannot know yet that it was left. */
static unsigned work_deep(unsigned x, unsigned depth)
{
    volatile unsigned char room[1024];

    room[0] = 1;
    if (depth > 0)
        return work_deep(x, depth - 1) + room[0];
    for (int i = 0; i < 50; i++)
        boxes_step(&boxes, &x);
    return x + room[0];
}

int main(int argc, char **argv)
{
    static unsigned char stack[1 << 16];
    const char *variant = argc > 1 ? argv[1] : "";
    struct sigaction action = {.sa_handler = on_timer};
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    static void *kept[KEPT];
    static unsigned x = 5;
    static volatile unsigned jumps;
    static bool good = true;

    for (unsigned i = 0; i < KEPT; i++) {
        kept[i] = malloc(i * 40 + 1);
        fill(kept[i], i * 40 + 1, i);
    }
    if (strcmp(variant, "alternate") == 0) {
        sigaltstack(&other, NULL);
        action.sa_flags |= SA_ONSTACK;
    }
    sigaction(SIGALRM, &action, NULL);
    if (sigsetjmp(back, 1) != 0) {
        jumps = jumps + 1;
        if (strcmp(variant, "deep") == 0)
            x += work_deep(x, 30);
    }
    if (jumps < JUMPS) {
        may_jump = 1;
        timer_set(20u + box_random(&x) % 300u);
        for (;;) /* until a jump leads back */
            boxes_step(&boxes, &x);
    }
    claim_holds("1,500 jumps out of the handler", jumps == JUMPS);
    for (unsigned i = 0; i < KEPT; i++) {
        good = good && is_filled(kept[i], i * 40 + 1, i);
        free(kept[i]);
    }
    claim_holds("blocks from before are whole", good);
    claim_holds("the heap works at last", heap_works(5));
    claim_at_most("resident memory at last", resident_kib(), 1024 * 1024, "KiB");
    return 0;
}
