/* faults.h - what the programs with bugs have in common. */
#ifndef NEB_TESTS_FAULTS_H
#define NEB_TESTS_FAULTS_H

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The compiler must not see what is wrong. */
static inline void *hide(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

static inline char *alloc(size_t size)
{
    return hide(malloc(size));
}

static inline void release(void *p)
{
    free(hide(p));
}

/* A read that the compiler may not leave out. */
static inline int look(const char *p)
{
    return *(const volatile char *)p;
}

/* The bug's last line; whoever comes here was not stopped. */
static inline int survived(void)
{
    puts("survived");
    return 0;
}

#endif
