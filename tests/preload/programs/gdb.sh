# gdb.sh - gdb (with its Python) under the library debugs a program that runs under it as well: breakpoints, values,
# calls in the program, threads, and a program that is stopped inside malloc.
. "$PRELOAD_DIR/lib.sh"

cat >debugged.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct node *next;
    int value;
    char name[20];
};

static struct node *push(struct node *list, int value)
{
    struct node *node = malloc(sizeof *node);

    node->next = list;
    node->value = value;
    snprintf(node->name, sizeof node->name, "node %d", value);
    return node;
}

static int sum(const struct node *list)
{
    return list == NULL ? 0 : list->value + sum(list->next);
}

static void *body(void *argument)
{
    struct node *list = NULL;

    for (int i = 0; i < *(int *)argument; i++)
        list = push(list, i);
    return list;
}

int main(void)
{
    int counts[] = {5, 6, 7};
    pthread_t threads[3];
    struct node *lists[3];
    void *result;

    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, body, &counts[i]);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &result);
        lists[i] = result;
    }
    printf("%d %d %d\n", sum(lists[0]), sum(lists[1]), sum(lists[2]));
    return 0;
}
END
gcc -g -O0 -pthread -o debugged debugged.c

cat >begin <<'END'
set pagination off
set width 0
set confirm off
set debuginfod enabled off
set print thread-events off
break sum if list == 0
run
END

cat begin - >look <<'END'
bt
up
print *list
print list->name
info breakpoints
delete
finish
frame function main
python
v = gdb.parse_and_eval("lists[2]")
names = []
while v != 0:
    names.append(v["name"].string())
    v = v["next"]
print(names)
print(sum(len(str(i)) for i in range(100000)))
end
continue
END

cat begin - >calls <<'END'
delete
print sum(list)
call (int)strlen("called in the program")
call (void)puts("allocating")
print ((char *(*)(const char *))strdup)("a copy made in the program")
frame function main
python print(gdb.parse_and_eval("sum(lists[2])"))
continue
END

# Addresses and process numbers differ by nature.
clean() {
    sed -E 's/0x[0-9a-f]+/ADDRESS/g; s/process [0-9]+/process N/; s/LWP [0-9]+/LWP N/g' | grep -vE '^(warning: Error disabling address|Using host libthread_db|\[Thread debugging)' | sed -E '/^Breakpoint|^Run till/ s/Thread ADDRESS \(LWP N\)/THREAD/'
}

debug() { # commands
    gdb -nx -q -batch -x "$1" ./debugged 2>&1 | clean
}

stopped_in_malloc() {
    gdb -nx -q -batch -ex 'set debuginfod enabled off' -ex 'break push' -ex 'run' -ex 'delete' -ex 'break malloc' \
        -ex 'continue' -ex 'delete' -ex 'up' -ex 'info symbol $pc' -ex 'kill' ./debugged 2>&1 | clean | grep -oE '^push \+ [0-9]+ in section .text|killed'
}

step "a session" debug look
# gdb 13 knows no processor whose registers take more than 2.7 kB, as those with AMX have: there it calls nothing.
if env -u LD_PRELOAD gdb -nx -q -batch -x calls ./debugged >before 2>&1; then
    step "calls in the program" debug calls
elif grep -q "Couldn't write extended state" before; then
    step_skipped "calls in the program" "gdb cannot write this processor's registers"
else
    step "calls in the program" debug calls
fi
step "stopped inside malloc" stopped_in_malloc
step "symbols and types of a program" sh -c 'gdb -nx -q -batch -ex "info functions -n ." -ex "ptype struct node" -ex "info scope main" -ex "disassemble /s push" ./debugged'
step "python in gdb" gdb -nx -q -batch -ex 'python import json, re; print(len(json.dumps([{"k": re.sub("1", "x", str(i))} for i in range(50000)])))'
step "a core file" sh -c 'gdb -nx -q -batch -ex "set debuginfod enabled off" -ex "break sum" -ex run -ex "generate-core-file core.file" -ex kill ./debugged >/dev/null && gdb -nx -q -batch -ex "set debuginfod enabled off" -ex "bt 1" ./debugged core.file 2>/dev/null | grep -oE "sum \(list=" | head -n 1'
