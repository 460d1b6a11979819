/* stdatomic.h - for an analysis of one thread: atomic accesses as plain ones. */
#ifndef NEB_TESTS_PLAIN_STDATOMIC_H
#define NEB_TESTS_PLAIN_STDATOMIC_H

#define atomic_load_explicit(object, order) (*(object))
#define atomic_store_explicit(object, value, order) ((void)(*(object) = (value)))

#endif
