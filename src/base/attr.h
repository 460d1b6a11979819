/* attr.h - the compiler attributes in use, under one name each (GNU C, gcc and clang). */
#ifndef NEB_BASE_ATTR_H
#define NEB_BASE_ATTR_H

#define NEB_INLINE static inline __attribute__((always_inline))
#define NEB_COLD __attribute__((cold, noinline))
#define NEB_NOINLINE __attribute__((noinline))
#define NEB_EXPORT __attribute__((visibility("default")))
#define NEB_LIKELY(x) __builtin_expect(!!(x), 1)
#define NEB_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NEB_ALIGNED(n) __attribute__((aligned(n)))

#endif
