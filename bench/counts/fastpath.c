/* fastpath.c - the three loops whose instructions are counted; nothing but the loop, the call and the PLT.
 *
 *   fastpath pair N      N times malloc(64) and its free
 *   fastpath fresh N     N times malloc(64), never freed
 *   fastpath bulk N      N times: 10,000 malloc(64), then all are freed, oldest first
 *
 * Law  whole-program instructions, as the difference of two N: start-up and exit cancel out
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 64, BULK = 10000 };

static void *volatile sink;
static void *blocks[BULK];

static void pair(long count)
{
    for (long i = 0; i < count; i++)
        free(malloc(SIZE));
}

static void fresh(long count)
{
    for (long i = 0; i < count; i++)
        sink = malloc(SIZE);
}

static void bulk(long count)
{
    for (long round = 0; round < count; round++) {
        for (int i = 0; i < BULK; i++)
            blocks[i] = malloc(SIZE);
        for (int i = 0; i < BULK; i++)
            free(blocks[i]);
    }
}

int main(int argc, char **argv)
{
    long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (count > 0 && strcmp(argv[1], "pair") == 0)
        pair(count);
    else if (count > 0 && strcmp(argv[1], "fresh") == 0)
        fresh(count);
    else if (count > 0 && strcmp(argv[1], "bulk") == 0)
        bulk(count);
    else
        return fprintf(stderr, "usage: fastpath pair|fresh|bulk N\n") > 0 ? 2 : 1;
    return 0;
}
