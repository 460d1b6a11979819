/* explain.h - what a fault has to do with the heap. */
#ifndef NEB_CHECK_EXPLAIN_H
#define NEB_CHECK_EXPLAIN_H

#include "os/signal.h"

/* Reports a fault at an address in or next to a block that cannot be touched; says nothing of others. In signal handlers. */
void neb_explain_fault(const struct os_fault *fault);

#endif
