/* init.h - what is done once: options, fork, the end of threads. The first malloc needs none of it. */
#ifndef NEB_FRONT_INIT_H
#define NEB_FRONT_INIT_H

#include <stdbool.h>

/* From the library's constructor; environment: as main's third argument. A second call does nothing. */
void neb_init(char *const *environment);
/* Whether dlopen's RTLD_DEEPBIND is passed on. */
bool neb_keeps_deepbind(void);
/* From its destructor: the report, if it was asked for. */
void neb_exit(void);

#endif
