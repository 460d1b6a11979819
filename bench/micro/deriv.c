/* deriv.c - symbolic derivatives: expression trees are copied, derived and evaluated, three times in a row.
 *
 *   x * (3 + x) --d/dx--> 1 * (3 + x) + x * (0 + 1)      products double, so the result is larger than its
 * source
 *
 * Re-created after `deriv` in Gabriel, "Performance and evaluation of Lisp systems" (1985): list processing
 * without a collector, as in compilers and provers.
 *
 * Stresses  small blocks of two sizes, freed in another order than they were allocated
 * Count     expressions per lane
 */
#include "bench.h"

enum kind { NUMBER, VARIABLE, SUM, PRODUCT };
enum { DEPTH = 5, DERIVATIVES = 3 };

struct leaf {
    enum kind kind;
    uint32_t value;
};

struct pair {
    struct leaf
        head; /* every expression is handled by the address of its leaf, which for a pair is this member */
    struct leaf *left, *right;
};

static struct leaf *leaf_make(struct lane *lane, enum kind kind, uint32_t value)
{
    struct leaf *leaf = mem_alloc(lane, sizeof *leaf);
    *leaf = (struct leaf){kind, value};
    return leaf;
}

static struct leaf *pair_make(struct lane *lane, enum kind kind, void *left, void *right)
{
    struct pair *pair = mem_alloc(lane, sizeof *pair);
    *pair = (struct pair){{kind, 0}, left, right};
    return &pair->head;
}

static const struct pair *pair_of(const struct leaf *expression)
{
    return (const void *)expression;
}

static int is_pair(const struct leaf *expression)
{
    return expression->kind == SUM || expression->kind == PRODUCT;
}

static void *expression_random(struct lane *lane, unsigned depth)
{
    uint32_t dice = random_below(lane, 8);
    if (depth == 0)
        return leaf_make(lane, dice < 4 ? VARIABLE : NUMBER, dice);
    void *left = expression_random(lane, depth - 1);
    return pair_make(lane, dice < 4 ? SUM : PRODUCT, left, expression_random(lane, depth - 1));
}

static void *expression_copy(struct lane *lane, const struct leaf *expression)
{
    if (!is_pair(expression))
        return leaf_make(lane, expression->kind, expression->value);
    const struct pair *pair = pair_of(expression);
    void *left = expression_copy(lane, pair->left);
    return pair_make(lane, pair->head.kind, left, expression_copy(lane, pair->right));
}

static void *derive(struct lane *lane, const struct leaf *expression)
{
    if (!is_pair(expression))
        return leaf_make(lane, NUMBER, expression->kind == VARIABLE);
    const struct pair *pair = pair_of(expression);
    void *left = derive(lane, pair->left);
    void *right = derive(lane, pair->right);
    if (pair->head.kind == SUM)
        return pair_make(lane, SUM, left, right);
    left = pair_make(lane, PRODUCT, left, expression_copy(lane, pair->right));
    right = pair_make(lane, PRODUCT, expression_copy(lane, pair->left), right);
    return pair_make(lane, SUM, left, right);
}

static uint64_t evaluate(const struct leaf *expression, uint64_t x)
{
    if (!is_pair(expression))
        return expression->kind == VARIABLE ? x : expression->value;
    uint64_t left = evaluate(pair_of(expression)->left, x);
    uint64_t right = evaluate(pair_of(expression)->right, x);
    return expression->kind == SUM ? left + right : left * right;
}

static void expression_free(struct lane *lane, struct leaf *expression)
{
    if (is_pair(expression)) {
        struct pair pair = *pair_of(expression);
        expression_free(lane, pair.left);
        expression_free(lane, pair.right);
    }
    mem_free(lane, expression);
}

/* Modulo 2^64 a derivative is still a derivative: f(x + e) = f(x) + e f'(x) when e^2 = 0, as for e = 2^32. */
static void derivative_verify(const struct leaf *f, const struct leaf *derived)
{
    const uint64_t e = UINT64_C(1) << 32;
    if (evaluate(f, 7 + e) != evaluate(f, 7) + e * evaluate(derived, 7))
        bench_fail("a derivative is wrong");
}

static void deriv_work(struct lane *lane)
{
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        struct leaf *f = expression_random(lane, DEPTH);
        for (unsigned n = 0; n < DERIVATIVES; n++) {
            struct leaf *derived = derive(lane, f);
            derivative_verify(f, derived);
            expression_free(lane, f);
            f = derived;
        }
        lane->checksum += evaluate(f, 3);
        expression_free(lane, f);
    }
}

const struct pattern pattern = {.name = "deriv", .threads_min = 1, .work = deriv_work};
