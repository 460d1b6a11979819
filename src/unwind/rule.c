/* rule.c - see rule.h. */
#include "unwind/rule.h"

#include "base/attr.h"
#include "unwind/decode.h"
#include <stdatomic.h>
#include <string.h>

enum { SLOTS = 1 << 15 }; /* 512 KiB, touched as it is used; clang calls from some 20,000 places on the way to malloc */

struct slot {
    _Atomic uint64_t value, check;
};

static struct slot slots[SLOTS];
static _Atomic uint64_t generation = 1;

/* Never 0 for an address in use, so that an empty slot matches none. */
static uint64_t key_of(uintptr_t pc)
{
    return pc ^ atomic_load_explicit(&generation, memory_order_relaxed) << 48; /* a hint; late is early enough */
}

struct rule neb_rule_of(uintptr_t pc)
{
    struct slot *slot = &slots[(pc ^ pc >> 15) % SLOTS];
    uint64_t key = key_of(pc);
    uint64_t value = atomic_load_explicit(&slot->value, memory_order_relaxed); /* both words together prove themselves */
    struct rule rule;
    if (NEB_LIKELY((value ^ atomic_load_explicit(&slot->check, memory_order_relaxed)) == key)) {
        memcpy(&rule, &value, sizeof rule);
        return rule;
    }
    rule = neb_rule_decode(pc);
    memcpy(&value, &rule, sizeof value);
    atomic_store_explicit(&slot->value, value, memory_order_relaxed);
    atomic_store_explicit(&slot->check, value ^ key, memory_order_relaxed);
    return rule;
}

void neb_rules_forget(void)
{
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}
