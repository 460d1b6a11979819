/* auditor.c - an auditing library that allocates whenever it is asked something; see ../audit.c. */
#include "claim.h"
#include <link.h>

static void *kept;

unsigned la_version(unsigned version)
{
    kept = malloc(10000);
    fill(kept, 10000, 4);
    return version < LAV_CURRENT ? version : LAV_CURRENT;
}

unsigned la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie)
{
    char *name = strdup(map->l_name);

    (void)namespace;
    *cookie = (uintptr_t)name;
    if (!is_filled(kept, 10000, 4))
        abort();
    kept = realloc(kept, 10000);
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
