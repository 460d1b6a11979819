"""statistics.py - medians, ratios with intervals, and the tests that decide what is larger than the noise.

    rank test   Mann and Whitney 1947: exact by enumeration for few samples, the normal approximation for many
    interval    bootstrap of the ratio of two medians (Efron 1979), percentiles, 95 %
    many tests  Benjamini and Hochberg 1995: at most 5 % of the differences that are called significant are not

Nothing here assumes that times are normally distributed: they are not.
"""

import itertools
import math
import random

RESAMPLES = 1000
EXACT_MAX = 20_000
FALSE_SHARE = 0.05


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def quantile(values, share):
    """Linear between the two nearest."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def geometric_mean(values):
    values = [max(value, 1e-12) for value in values]
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else math.nan


def midranks(values):
    """Rank of each value; equal ones share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    for _, group in itertools.groupby(enumerate(order), key=lambda pair: values[pair[1]]):
        places = list(group)
        for _, index in places:
            ranks[index] = (places[0][0] + places[-1][0]) / 2 + 1
    return ranks


def exact_p(ranks, size, observed):
    """The share of all divisions of the ranks that are at least as extreme."""
    middle = sum(ranks) * size / len(ranks)
    distance = abs(observed - middle) - 1e-9
    extreme = total = 0
    for chosen in itertools.combinations(ranks, size):
        total += 1
        extreme += abs(sum(chosen) - middle) >= distance
    return extreme / total


def normal_p(ranks, size, observed):
    count = len(ranks)
    other = count - size
    mean = size * (count + 1) / 2
    variance = size * other / (count * (count - 1)) * sum((rank - (count + 1) / 2) ** 2 for rank in ranks)
    if variance == 0:
        return 1.0
    z = max(0.0, abs(observed - mean) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def rank_test(a, b):
    """The probability of a difference this large when there is none; 1 with too few samples to say anything."""
    if len(a) < 2 or len(b) < 2:
        return 1.0
    ranks = midranks(list(a) + list(b))
    observed = sum(ranks[:len(a)])
    few = math.comb(len(ranks), len(a)) <= EXACT_MAX
    return (exact_p if few else normal_p)(ranks, len(a), observed)


def ratio_interval(a, b, seed=1):
    """Median of a over median of b, and the 95 % interval of that ratio."""
    rng = random.Random(seed)
    ratio = lambda x, y: median(x) / max(median(y), 1e-12)
    drawn = [ratio(rng.choices(a, k=len(a)), rng.choices(b, k=len(b))) for _ in range(RESAMPLES)]
    return ratio(a, b), quantile(drawn, 0.025), quantile(drawn, 0.975)


def mean_ratio_interval(pairs, seed=1):
    """Geometric mean over workloads of ratios of medians, with its interval; pairs = [(a, b), ...] of samples."""
    rng = random.Random(seed)
    pairs = [(a, b) for a, b in pairs if a and b]
    if not pairs:
        return None

    def mean(draw):
        return geometric_mean([median(draw(a)) / max(median(draw(b)), 1e-12) for a, b in pairs])

    drawn = [mean(lambda x: rng.choices(x, k=len(x))) for _ in range(RESAMPLES // 5)]
    return mean(lambda x: x), quantile(drawn, 0.025), quantile(drawn, 0.975)


def significant(p_values, share=FALSE_SHARE):
    """Which of several tests are significant when the share of false ones is to stay below `share`."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    last = -1
    for place, index in enumerate(order):
        if p_values[index] <= share * (place + 1) / len(p_values):
            last = place
    chosen = set(order[:last + 1])
    return [index in chosen for index in range(len(p_values))]
