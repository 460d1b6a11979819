/* corpus.c - runs one bug: corpus NAME; corpus --list prints "NAME KIND" of all. */
#include "corpus.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *what)
{
    (void)!write(1, what, strlen(what));
    (void)!write(1, "\n", 1);
}

void *alloc(size_t size)
{
    return hide(malloc(size));
}

void release(void *p)
{
    free(hide(p));
}

void after(void)
{
    say("after");
}

void harm(const char *what)
{
    (void)!write(1, "HARM: ", 6);
    say(what);
}

void in_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, function, argument) == 0)
        (void)pthread_join(thread, NULL);
}

bool all_are(const void *p, size_t size, int value)
{
    const unsigned char *bytes = p;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)value)
            return false;
    return true;
}

void check_distinct(size_t size, void *other, size_t other_size)
{
    enum { COUNT = 64 };
    uintptr_t begin[COUNT];
    uintptr_t left = (uintptr_t)other;
    unsigned count = size > 1000000 ? 4 : COUNT;
    for (unsigned i = 0; i < count; i++) {
        begin[i] = (uintptr_t)alloc(size);
        for (unsigned j = 0; j < i; j++)
            if (begin[i] == begin[j]) {
                harm("handed out twice");
                return;
            }
        if (other != NULL && begin[i] < left + other_size && left < begin[i] + size) {
            harm("blocks overlap");
            return;
        }
    }
}

static const struct bug *const families[] = {frees, overflows, dangling, mismatches, regions, odd};

int main(int count, char **arguments)
{
    bool lists = count == 2 && strcmp(arguments[1], "--list") == 0;
    for (unsigned i = 0; count == 2 && i < sizeof families / sizeof families[0]; i++)
        for (const struct bug *bug = families[i]; bug->name != NULL; bug++) {
            if (lists)
                printf("%s %s\n", bug->name, bug->kind);
            if (strcmp(bug->name, arguments[1]) != 0)
                continue;
            bug->run(bug->size, bug->amount);
            say("end");
            return 0;
        }
    if (lists)
        return 0;
    fprintf(stderr, "usage: corpus NAME | --list\n");
    return 2;
}
