/* folder.h - a fuzzer's corpus without the fuzzer: every file of a folder is given to its target once. */
#ifndef NEB_TESTS_FUZZ_FOLDER_H
#define NEB_TESTS_FUZZ_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUT_MAX = 1 << 16 };

static unsigned char folder_input[INPUT_MAX];

static void folder_file_run(const char *folder, const char *name,
                            int (*target)(const unsigned char *data, size_t count))
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    size_t count = fread(folder_input, 1, sizeof folder_input, file);
    (void)fclose(file);
    (void)target(folder_input, count);
}

/* How many; ends the process when the folder cannot be read. */
static unsigned folder_run(const char *folder, int (*target)(const unsigned char *data, size_t count))
{
    unsigned count = 0;
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        perror(folder);
        exit(2);
    }
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (entry->d_name[0] != '.') {
            folder_file_run(folder, entry->d_name, target);
            count++;
        }
    (void)closedir(entries);
    return count;
}

#endif
