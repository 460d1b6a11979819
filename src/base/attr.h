/* attr.h - the compiler attributes in use, under one name each (GNU C, gcc and clang). */
#ifndef NEB_BASE_ATTR_H
#define NEB_BASE_ATTR_H

#define NEB_INLINE static inline __attribute__((always_inline))
#define NEB_COLD __attribute__((cold, noinline))
#define NEB_NOINLINE __attribute__((noinline))
#define NEB_EXPORT __attribute__((visibility("default")))
/* A variable that is declared here and stands in this library: its address needs no table. -fvisibility=hidden says that of definitions alone. */
#define NEB_HIDDEN __attribute__((visibility("hidden")))
#define NEB_LIKELY(x) __builtin_expect(!!(x), 1)
#define NEB_UNLIKELY(x) __builtin_expect(!!(x), 0)
#if defined(__has_attribute) && defined(__clang__)
#define NEB_TAIL __attribute__((musttail)) /* before return: the call must be a jump */
#else
#define NEB_TAIL /* gcc makes one of a call in this place when it optimises */
#endif
/* The compiler forgets what it knows of x's value: what follows is neither merged with what came before nor kept in another register. */
#define NEB_OPAQUE(x) __asm__("" : "+r"(x))
/* Which pages it shares with what: interpose/layout.ld. */
#define NEB_SECTION(name) __attribute__((section(name)))
/* Called in every process, in a file of which else few use anything. */
#define NEB_COMMON NEB_SECTION(".text.common")
/* The reverse: called in few processes, and in those that have several threads. */
#define NEB_SELDOM NEB_SECTION(".text.seldom")
#define NEB_THREADED NEB_SECTION(".text.threaded")
/* Variables of which a process uses a page or none: they stand behind all others, which share few pages. */
#define NEB_SPARSE NEB_SECTION(".bss.sparse")
#define NEB_ALIGNED(n) __attribute__((aligned(n)))

#endif
