/* trees.c - binary trees, built bottom-up and top-down, used and freed, while one large tree lives on.
 *
 * Re-created from GCBench (Ellis, Kovac, Boehm, 1990s) and its descendant, the binary-trees program of the
 * Computer Language Benchmarks Game; both serve to compare allocators and collectors.
 *
 * Stresses  very many blocks of one small size with nested lifetimes; the order in memory decides how fast
 * they are walked Count     short-lived trees per lane, of depth 6, 10 and 14 in turn; the long-lived tree
 * has depth 17
 */
#include "bench.h"

enum { LONG_DEPTH = 17 };

struct node {
    struct node *left, *right;
    uint32_t value;
};

static struct node *node_make(struct lane *lane, struct node *left, struct node *right, uint32_t value)
{
    struct node *node = mem_alloc(lane, sizeof *node);
    *node = (struct node){left, right, value};
    return node;
}

/* Children first; values number the nodes as a heap does: 1 is the root, 2n and 2n + 1 the children of n. */
static struct node *tree_bottom_up(struct lane *lane, unsigned depth, uint32_t value)
{
    if (depth == 0)
        return node_make(lane, NULL, NULL, value);
    struct node *left = tree_bottom_up(lane, depth - 1, 2 * value);
    struct node *right = tree_bottom_up(lane, depth - 1, 2 * value + 1);
    return node_make(lane, left, right, value);
}

static struct node *tree_top_down(struct lane *lane, unsigned depth, uint32_t value)
{
    struct node *node = node_make(lane, NULL, NULL, value);
    if (depth > 0) {
        node->left = tree_top_down(lane, depth - 1, 2 * value);
        node->right = tree_top_down(lane, depth - 1, 2 * value + 1);
    }
    return node;
}

static uint64_t tree_sum(const struct node *node)
{
    return node == NULL ? 0 : node->value + tree_sum(node->left) + tree_sum(node->right);
}

static void tree_free(struct lane *lane, struct node *node)
{
    if (node == NULL)
        return;
    tree_free(lane, node->left);
    tree_free(lane, node->right);
    mem_free(lane, node);
}

/* The nodes are numbered 1 .. 2^(depth + 1) - 1: their sum is known. */
static void tree_verify(struct lane *lane, const struct node *root, unsigned depth)
{
    uint64_t last = (UINT64_C(2) << depth) - 1;
    uint64_t sum = tree_sum(root);
    if (sum != last * (last + 1) / 2)
        bench_fail("a tree has changed");
    lane->checksum += sum;
}

static void tree_end(struct lane *lane, struct node *root, unsigned depth)
{
    tree_verify(lane, root, depth);
    tree_free(lane, root);
}

static void trees_work(struct lane *lane)
{
    static const unsigned depths[] = {6, 10, 14};
    struct node *lasting = tree_top_down(lane, LONG_DEPTH, 1);
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        unsigned depth = depths[i % 3];
        tree_end(lane, i % 2 == 0 ? tree_bottom_up(lane, depth, 1) : tree_top_down(lane, depth, 1), depth);
    }
    tree_end(lane, lasting, LONG_DEPTH);
}

const struct pattern pattern = {.name = "trees", .threads_min = 1, .work = trees_work};
