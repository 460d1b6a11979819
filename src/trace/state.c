/* state.c - see state.h. */
#include "trace/state.h"

NEB_ALIGNED(65536) union trace_page neb_trace_page;
uint32_t neb_trace_guards;
