/* particles.c - a simulation whose particles are born, split and die at any time: an object pool for them. */
#include <nebmalloc/pool.h>

#include "versus.h"

struct particle {
    struct particle *next;
    float x, y, dx, dy;
    uint32_t age, life;
};

NEB_POOL_TYPE(particle, struct particle)

struct world {
    particle_pool *pool; /* NULL: malloc */
    struct particle *first;
    uint32_t random, born, died;
};

static struct particle *particle_birth(struct world *world, float x, float y)
{
    struct particle *p = or_die(world->pool != NULL ? particle_alloc(world->pool) : malloc(sizeof *p));
    uint32_t random = versus_random(&world->random);
    *p = (struct particle){world->first, x, y, (float)(random % 256) - 128, (float)(random >> 8 & 255) - 128, 0, 5 + random % 40};
    world->first = p;
    world->born++;
    return p;
}

static void particle_death(struct world *world, struct particle *p)
{
    world->died++;
    if (world->pool != NULL)
        particle_free(world->pool, p);
    else
        free(p);
}

/* Every particle moves; some split, the old ones die. */
static void step(struct world *world)
{
    struct particle **link = &world->first;
    for (struct particle *p; (p = *link) != NULL;) {
        p->x += p->dx / 64;
        p->y += p->dy / 64;
        if (++p->age > p->life) {
            *link = p->next;
            particle_death(world, p);
            continue;
        }
        link = &p->next;
    }
    for (int i = 0; i < 400; i++)
        (void)particle_birth(world, (float)i, 0);
}

static void count(void *argument, void *block, size_t bytes)
{
    (void)bytes;
    *(uint64_t *)argument += ((const struct particle *)block)->age + 1;
}

static uint64_t simulate(int use_neb)
{
    struct world world = {use_neb ? or_die(particle_pool_create()) : NULL, NULL, 4711, 0, 0};
    uint64_t sum = 0, visited = 0, listed = 0;
    for (int i = 0; i < 1500; i++) {
        step(&world);
        if (world.first != NULL)
            sum = sum * 31 + (uint64_t)(int64_t)world.first->next->x + world.born * 3 + world.died;
    }
    for (struct particle *p = world.first, *next; p != NULL; p = next) {
        next = p->next;
        listed += p->age + 1;
        if (world.pool == NULL)
            free(p);
    }
    if (use_neb) {
        (void)neb_pool_visit(&world.pool->pool, count, &visited); /* the pool knows who is alive */
        if (visited != listed)
            return 0;
        particle_pool_destroy(world.pool); /* and takes them all */
    }
    return sum + listed;
}

int main(void)
{
    return versus("particles", "pool", simulate);
}
