/* corpus.h - what the bugs of the corpus have in common; corpus.c runs one of them by name.
 *
 * A bug prints "after" when the wrong thing has been done, "HARM: ..." for each harm that came of it, "end" when it has done
 * all. So whoever watches sees whether the allocator stopped it at once, later, at the end, or never, and whether too late. */
#ifndef NEB_TESTS_CORPUS_H
#define NEB_TESTS_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bug {
    const char *name;
    const char *kind; /* what the checked library must call it, alternatives with |; "": nothing is wrong */
    void (*run)(size_t size, size_t amount);
    size_t size, amount;
};

#define ARRAY_END {NULL, NULL, NULL, 0, 0}
extern const struct bug frees[], overflows[], dangling[], mismatches[], regions[], odd[];

/* The compiler must not see what is wrong. */
static inline void *hide(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

void *alloc(size_t size);
void release(void *p);
void after(void);
void harm(const char *what);
/* In a thread of its own, until it ends. */
void in_thread(void *(*function)(void *), void *argument);
/* Two of so many fresh blocks of this size, or one of them and other, are the same: harm. */
void check_distinct(size_t size, void *other, size_t other_size);
bool all_are(const void *p, size_t size, int value);

/* operator new and delete under their own names, as a compiler calls them. */
void *_Znwm(size_t size);
void *_Znam(size_t size);
void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
void _ZdlPv(void *p);
void _ZdaPv(void *p);
void _ZdlPvm(void *p, size_t size);
void _ZdlPvSt11align_val_t(void *p, size_t alignment);

#endif
