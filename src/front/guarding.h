/* guarding.h - the options guard, guard_sample and their relatives, put into force. */
#ifndef NEB_FRONT_GUARDING_H
#define NEB_FRONT_GUARDING_H

#include "front/config.h"

/* Once, before there are threads, after the checks' own options. What cannot be had gets a line. Whether there are guarded blocks. */
bool neb_guarding_apply(const uint64_t values[OPTION_COUNT]);

#endif
