/* api.h - the opt-in API inside the library: the engine of the public headers, and what it stands on here. */
#ifndef NEB_FRONT_API_H
#define NEB_FRONT_API_H

#ifndef NEB_LINKED
#define NEB_LINKED 1
#endif
#include <nebmalloc/nebmalloc.h>

/* scope.c for the engine */
neb_thread *neb_scope_thread(void);
void *neb_scope_memory_take(size_t bytes, size_t *got);
void neb_scope_segments_give(neb_segment *newest, neb_segment *oldest, size_t count, size_t bytes);
void neb_scope_ambient(neb_scope *scope);

/* the engine for scope.c */
void neb_engine_end_all(neb_thread *thread);
void *neb_engine_alloc(neb_arena *arena, size_t size, size_t alignment);
bool neb_engine_grow_last(neb_arena *arena, void *object, size_t old_size, size_t size);

/* the engine for region.c: objects without a word (run.h). p is aligned to 16 and lies in a live region of scopes, behind
 * its head. */
enum engine_run { RUN_NONE, RUN_OBJECT, RUN_FREED, RUN_INSIDE };
enum engine_run neb_engine_run_look(void *p);
void neb_engine_run_free(void *p);                   /* p is a RUN_OBJECT here and below */
size_t neb_engine_run_size(void *p, bool is_usable); /* what was asked for, or what may be used */
void neb_engine_run_shrink(void *p, size_t size);    /* to at most what its run has, or what was asked for */

/* visit.c */
bool neb_api_stats(neb_memory_stats *stats, bool of_thread);
size_t neb_api_trim(void);
bool neb_api_visit(bool (*visit)(void *argument, const neb_block_info *block), void *argument);
bool neb_api_name(void *memory, size_t bytes, const char *name);

#endif
