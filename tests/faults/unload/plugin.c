/* plugin.c - a function whose frame has ROOM bytes more; see unload.c. */
#include <stdlib.h>
#include <string.h>

void *plugin_give(size_t size);

__attribute__((noinline)) void *plugin_give(size_t size)
{
    char room[ROOM];
    memset(room, 0, sizeof room);
    __asm__ volatile("" : : "r"(room) : "memory");
    void *block = malloc(size);
    __asm__ volatile("" : : "r"(room) : "memory");
    return block;
}
