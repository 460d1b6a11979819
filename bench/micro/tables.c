/* tables.c - random tables: a chained hash table from which a random key is removed and another one inserted,
 * at a constant number of entries, values of random size.
 *
 * Re-created after the random-replacement model that Wilson, Johnstone, Neely and Boles, "Dynamic storage
 * allocation: a survey and critical review" (IWMM 1995), describe and criticise: real programs are not that
 * random, which makes this a hard case rather than a typical one.
 *
 * Stresses  a large working set in random order; memory locality of free blocks
 * Count     replacements per lane, at 100,000 live entries
 */
#include "bench.h"

enum { BUCKETS = 1 << 16, ENTRIES = 100000, KEYS = 1 << 24 };

struct entry {
    struct entry *next;
    struct block value;
    uint32_t key;
};

struct table {
    struct entry **buckets;
    uint32_t *keys; /* those that are live, so that one can be drawn */
};

static struct entry **bucket_of(struct table *table, uint32_t key)
{
    return &table->buckets[(key * UINT32_C(2654435761)) >> 16];
}

static void key_insert(struct lane *lane, struct table *table, uint32_t key)
{
    struct entry **bucket = bucket_of(table, key);
    struct entry *entry = mem_alloc(lane, sizeof *entry);
    *entry = (struct entry){*bucket, block_make(lane, random_size(lane, 4, 9)), key};
    *bucket = entry;
}

static void key_remove(struct lane *lane, struct table *table, uint32_t key)
{
    struct entry **at = bucket_of(table, key);
    while ((*at)->key != key)
        at = &(*at)->next;
    struct entry *entry = *at;
    *at = entry->next;
    block_drop(lane, entry->value);
    mem_free(lane, entry);
}

static void table_fill(struct lane *lane, struct table *table)
{
    for (uint32_t i = 0; i < ENTRIES; i++) {
        table->keys[i] = random_below(lane, KEYS);
        key_insert(lane, table, table->keys[i]);
    }
}

static void tables_work(struct lane *lane)
{
    struct table table = {bench_map(BUCKETS * sizeof(struct entry *)), bench_map(ENTRIES * sizeof(uint32_t))};
    table_fill(lane, &table);
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        uint32_t *key = &table.keys[random_below(lane, ENTRIES)];
        key_remove(lane, &table, *key);
        *key = random_below(lane, KEYS);
        key_insert(lane, &table, *key);
    }
    for (uint32_t i = 0; i < ENTRIES; i++)
        key_remove(lane, &table, table.keys[i]);
}

const struct pattern pattern = {.name = "tables", .threads_min = 1, .work = tables_work};
