/* strings.c - a table of strings with counts, as a script that counts words builds it: keys are copied, the
 * table of buckets doubles, entries are removed again.
 *
 *   buckets (grown by calloc + rehash) --> entry --> entry      entry: key (its own block), count
 *
 * Re-created after the string-table programs in Zorn and Grunwald, "Empirical measurements of six
 * allocation-intensive C programs" (SIGPLAN Notices 1992), which are awk, perl and the like.
 *
 * Stresses  small blocks of two kinds that are used together, growth of one large block, long lifetimes
 * Count     words added per lane; every 64th step removes an entry
 */
#include <stdio.h>

#include "bench.h"

enum { BUCKETS_START = 64, WORDS_LOG = 18 };

struct entry {
    struct entry *next;
    char *key;
    uint32_t hash;
    uint32_t count;
};

struct table {
    struct entry **buckets;
    uint32_t size; /* a power of two */
    uint32_t used;
};

/* FNV-1a. */
static uint32_t key_hash(const char *key)
{
    uint32_t hash = 2166136261U;
    while (*key != '\0')
        hash = (hash ^ (unsigned char)*key++) * 16777619U;
    return hash;
}

static struct entry **buckets_make(struct lane *lane, uint32_t size)
{
    struct entry **buckets = mem_alloc(lane, size * sizeof(struct entry *));
    memset(buckets, 0, size * sizeof(struct entry *));
    return buckets;
}

static void table_grow(struct lane *lane, struct table *table)
{
    struct entry **old = table->buckets;
    table->buckets = buckets_make(lane, table->size * 2);
    for (uint32_t i = 0; i < table->size; i++)
        for (struct entry *entry = old[i], *next; entry != NULL; entry = next) {
            struct entry **bucket = &table->buckets[entry->hash & (table->size * 2 - 1)];
            next = entry->next;
            entry->next = *bucket;
            *bucket = entry;
        }
    table->size *= 2;
    mem_free(lane, old);
}

static struct entry **entry_find(struct table *table, const char *key, uint32_t hash)
{
    struct entry **at = &table->buckets[hash & (table->size - 1)];
    while (*at != NULL && ((*at)->hash != hash || strcmp((*at)->key, key) != 0))
        at = &(*at)->next;
    return at;
}

static struct entry *entry_make(struct lane *lane, const char *key, uint32_t hash)
{
    struct entry *entry = mem_alloc(lane, sizeof *entry);
    *entry = (struct entry){NULL, mem_alloc(lane, strlen(key) + 1), hash, 0};
    strcpy(entry->key, key);
    return entry;
}

static void entry_remove(struct lane *lane, struct table *table, struct entry **at)
{
    struct entry *entry = *at;
    *at = entry->next;
    lane->checksum += (uint64_t)key_hash(entry->key) * entry->count;
    table->used--;
    mem_free(lane, entry->key);
    mem_free(lane, entry);
}

static void word_add(struct lane *lane, struct table *table, const char *word)
{
    uint32_t hash = key_hash(word);
    struct entry **at = entry_find(table, word, hash);
    if (*at == NULL) {
        *at = entry_make(lane, word, hash);
        table->used++;
    }
    (*at)->count++;
    if (table->used > table->size)
        table_grow(lane, table);
}

/* Frequent words are short, rare ones long, as in a language. */
static void word_pick(struct lane *lane, char *word, size_t size)
{
    uint32_t rank = random_below(lane, UINT32_C(1) << (1 + random_below(lane, WORDS_LOG)));
    snprintf(word, size, "%x%.*s", rank, (int)(rank % 23), "abcdefghijklmnopqrstuvw");
}

static void word_remove(struct lane *lane, struct table *table, const char *word)
{
    struct entry **at = entry_find(table, word, key_hash(word));
    if (*at != NULL)
        entry_remove(lane, table, at);
}

static void strings_work(struct lane *lane)
{
    char word[48];
    struct table table = {buckets_make(lane, BUCKETS_START), BUCKETS_START, 0};
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        word_pick(lane, word, sizeof word);
        word_add(lane, &table, word);
        word_pick(lane, word, sizeof word);
        if (i % 64 == 0)
            word_remove(lane, &table, word);
    }
    for (uint32_t i = 0; i < table.size; i++)
        while (table.buckets[i] != NULL)
            entry_remove(lane, &table, &table.buckets[i]);
    mem_free(lane, table.buckets);
}

const struct pattern pattern = {.name = "strings", .threads_min = 1, .work = strings_work};
