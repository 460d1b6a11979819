/* sample.c - see sample.h. No libm: the library depends on libc alone. */
#include "trace/sample.h"

#include "base/bits.h"

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t random_next(uint64_t *random)
{
    uint64_t x = *random += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

/* ln x for 1 <= x < 2: artanh series in (x - 1) / (x + 1), below 1/3; error below 1e-7. */
static double ln_mantissa(double x)
{
    double t = (x - 1) / (x + 1), square = t * t;
    return 2 * t * (1 + square * (1.0 / 3 + square * (1.0 / 5 + square * (1.0 / 7 + square * (1.0 / 9 + square / 11)))));
}

/* -ln u for u = n / 2^53, 0 < n <= 2^53. */
static double minus_ln(uint64_t n)
{
    const double ln2 = 0.69314718055994530942;
    unsigned log2 = bits_log2_floor(n);
    double mantissa = (double)n / (double)(UINT64_C(1) << log2);
    return (double)(53 - log2) * ln2 - ln_mantissa(mantissa);
}

int64_t neb_sample_distance(uint64_t *random, uint64_t mean)
{
    return (int64_t)(minus_ln((random_next(random) >> 11) + 1) * (double)mean) + 1;
}

/* exp(-x) for 0 <= x: (exp(-x / 2^k))^(2^k) with the rest below 1/16, by series. */
static double exp_minus(double x)
{
    unsigned halvings = 0;
    if (x > 40)
        return 0;
    for (; x > 1.0 / 16; halvings++)
        x /= 2;
    double e = 1 - x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5))));
    for (; halvings > 0; halvings--)
        e *= e;
    return e;
}

uint64_t neb_sample_weight(size_t size, uint64_t mean)
{
    double x = (double)(size == 0 ? 1 : size) / (double)mean;
    /* Small x: 1 - exp(-x) would cancel; x - x^2/2 + x^3/6 does not. */
    double probability = x < 1e-3 ? x * (1 - x / 2 * (1 - x / 3)) : 1 - exp_minus(x);
    return (uint64_t)(256 / probability + 0.5);
}
