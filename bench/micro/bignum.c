/* bignum.c - convergents p/q of the continued fraction of the square root of 2, with immutable large numbers:
 * every sum and product is a new block and the operands are freed soon after.
 *
 *   p' = p + 2q    q' = p + q    and always p^2 - 2 q^2 = +1 or -1, which verifies everything
 *
 * Re-created after cfrac (Barrett), a factoring program that is made of short-lived large numbers; used by
 * Zorn and Grunwald (1992) and in nearly every allocator comparison since.
 *
 * Stresses  very short lifetimes at slowly growing sizes from 8 B on
 * Count     chains per lane, each of 200 steps
 */
#include "bench.h"

enum { STEPS = 200 };

struct number {
    uint32_t length;
    uint32_t digit[]; /* base 2^32, least significant first */
};

static struct number *number_make(struct lane *lane, uint32_t length)
{
    struct number *number = mem_alloc(lane, sizeof *number + length * sizeof(uint32_t));
    number->length = length;
    return number;
}

static struct number *number_small(struct lane *lane, uint32_t value)
{
    struct number *number = number_make(lane, 1);
    number->digit[0] = value;
    return number;
}

static void number_trim(struct number *number)
{
    while (number->length > 1 && number->digit[number->length - 1] == 0)
        number->length--;
}

static uint32_t digit_get(const struct number *number, uint32_t index)
{
    return index < number->length ? number->digit[index] : 0;
}

static struct number *number_add(struct lane *lane, const struct number *a, const struct number *b)
{
    uint32_t length = (a->length > b->length ? a->length : b->length) + 1;
    struct number *sum = number_make(lane, length);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < length; i++) {
        carry += (uint64_t)digit_get(a, i) + digit_get(b, i);
        sum->digit[i] = (uint32_t)carry;
        carry >>= 32;
    }
    number_trim(sum);
    return sum;
}

static void row_add(struct number *product, const struct number *a, uint32_t factor, uint32_t shift)
{
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->length; i++) {
        carry += (uint64_t)a->digit[i] * factor + product->digit[i + shift];
        product->digit[i + shift] = (uint32_t)carry;
        carry >>= 32;
    }
    product->digit[a->length + shift] = (uint32_t)carry;
}

static struct number *number_multiply(struct lane *lane, const struct number *a, const struct number *b)
{
    struct number *product = number_make(lane, a->length + b->length);
    memset(product->digit, 0, product->length * sizeof(uint32_t));
    for (uint32_t i = 0; i < b->length; i++)
        row_add(product, a, b->digit[i], i);
    number_trim(product);
    return product;
}

static int number_equal(const struct number *a, const struct number *b)
{
    return a->length == b->length && memcmp(a->digit, b->digit, a->length * sizeof(uint32_t)) == 0;
}

static void number_checksum(struct lane *lane, const struct number *number)
{
    for (uint32_t i = 0; i < number->length; i++)
        lane->checksum += (uint64_t)number->digit[i] * (i + 1);
}

/* p^2 = 2 q^2 + 1 after an odd number of steps from 1/1, p^2 + 1 = 2 q^2 after an even one. */
static void convergent_verify(struct lane *lane, const struct number *p, const struct number *q,
                              unsigned step)
{
    struct number *one = number_small(lane, 1);
    struct number *pp = number_multiply(lane, p, p);
    struct number *qq = number_multiply(lane, q, q);
    struct number *double_qq = number_add(lane, qq, qq);
    struct number *left = number_add(lane, step % 2 == 0 ? pp : double_qq, one);
    if (!number_equal(left, step % 2 == 0 ? double_qq : pp))
        bench_fail("a large number is wrong");
    number_checksum(lane, left);
    struct number *all[] = {one, pp, qq, double_qq, left};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(lane, all[i]);
}

static void convergent_step(struct lane *lane, struct number **p, struct number **q)
{
    struct number *sum = number_add(lane, *p, *q);
    struct number *next = number_add(lane, sum, *q);
    mem_free(lane, *p);
    mem_free(lane, *q);
    *p = next;
    *q = sum;
}

static void bignum_work(struct lane *lane)
{
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        struct number *p = number_small(lane, 1), *q = number_small(lane, 1);
        for (unsigned step = 0; step < STEPS; step++) {
            convergent_verify(lane, p, q, step);
            convergent_step(lane, &p, &q);
        }
        mem_free(lane, p);
        mem_free(lane, q);
    }
}

const struct pattern pattern = {.name = "bignum", .threads_min = 1, .work = bignum_work};
