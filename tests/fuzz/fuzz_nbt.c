/* fuzz_nbt.c - libFuzzer: any bytes at all, read as an .nbt file, and what comes out walked by every view
 * that has no symbols.
 *
 * scripts/fuzz-nbt runs it. Checksums would keep the fuzzer out of sealed chunks: it begins with files that
 * have both. With -DFUZZ_NBT_MAIN: nbt-corpus FOLDER, every input that is there once. */
#include "tool/reader.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct model model;
    struct source source = {.fd = -1, .memory = data, .bytes = bytes, .name = "fuzz.nbt"};
    model_init(&model);
    char *refused = reader_source(&model, &source);
    if (refused == NULL)
        model_sum(&model);
    uint64_t depth = 0;
    for (size_t i = 0; i < model.site_count; i++) /* stacks end, and their parts exist */
        for (uint32_t node = model.sites[i].node; node != NODE_ROOT; node = model.nodes[node].parent) {
            if (node >= model.node_count || model.nodes[node].frame >= model.frame_count ||
                model.nodes[node].parent >= node)
                __builtin_trap();
            depth += model.frames[model.nodes[node].frame].module <= model.module_count;
        }
    for (size_t i = 0; i < model.thread_count; i++)
        if (model.threads[i].process >= model.process_count || model.threads[i].name == NULL)
            __builtin_trap();
    for (size_t i = 0; i < model.slab_count; i++)
        if (model.slabs[i].first_pin + model.slabs[i].pin_count > model.pin_count)
            __builtin_trap();
    if (depth == UINT64_MAX)
        __builtin_trap();
    free(refused);
    model_finish(&model);
    return 0;
}

#ifdef FUZZ_NBT_MAIN
#include "fuzz/folder.h"

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: nbt-corpus FOLDER\n");
        return 2;
    }
    unsigned count = folder_run(argv[1], LLVMFuzzerTestOneInput);
    printf("%u inputs\n", count);
    return count == 0;
}

#endif
