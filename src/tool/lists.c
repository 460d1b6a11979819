/* lists.c - reports that are a list: top, leaks, lifetimes, sizes, threads, realloc, frag. */
#include "tool/cli.h"

#include <stdlib.h>
#include <string.h>

static unsigned rows_of(const struct arguments *arguments, unsigned taken)
{
    if (arguments->limit > 0)
        return arguments->limit;
    return term.terminal && term.height > taken + 3 ? term.height - taken : 20;
}

static void group_json(struct json *json, const struct group *group, struct symbols *symbols)
{
    json_open(json, NULL, '{');
    json_symbol(json, group->symbol);
    json_number(json, "call_stacks", group->sites);
    json_stats(json, &group->stats);
    json_stack(json, "largest_stack", symbols, group->node);
    json_close(json, '}');
}

/* The groups with any of the metric, at most `rows` of them. */
static void groups_json(struct loaded *loaded, const struct groups *groups, const char *command,
                        enum metric metric, unsigned rows)
{
    struct json json;
    json_begin(&json, &loaded->model, command);
    json_text(&json, "sorted_by", metric_facts[metric].name);
    json_open(&json, "functions", '[');
    for (size_t i = 0;
         i < groups->count && (rows == 0 || i < rows) && stats_metric(&groups->items[i].stats, metric) > 0;
         i++)
        group_json(&json, &groups->items[i], loaded->symbols);
    json_close(&json, ']');
    json_end(&json);
}

int command_top(const struct arguments *arguments)
{
    static const struct grid_column columns[] = {
        {"at peak", true, STYLE_NUMBER}, {"allocated", true, STYLE_NUMBER},
        {"blocks", true, STYLE_NUMBER},  {"not freed", true, STYLE_WARM},
        {"share", true, STYLE_DIM},      {"asked for by", false, STYLE_TITLE}};
    struct loaded loaded;
    struct groups groups;
    loaded_begin(&loaded, arguments);
    groups_make(&groups, &loaded.model, loaded.symbols, arguments->metric);
    if (arguments->json) {
        groups_json(&loaded, &groups, "top", arguments->metric, arguments->limit);
    } else {
        char *what = tool_text("functions by %s", metric_facts[arguments->metric].title);
        print_title(&loaded.model, what);
        free(what);
        uint64_t whole = 0;
        for (size_t i = 0; i < groups.count; i++)
            whole += stats_metric(&groups.items[i].stats, arguments->metric);
        struct grid *grid = grid_create(columns, sizeof columns / sizeof columns[0]);
        unsigned rows = rows_of(arguments, 4);
        for (size_t i = 0; i < groups.count && i < rows; i++) {
            const struct stats *stats = &groups.items[i].stats;
            struct number peak = number_bytes(stats->peak_bytes), bytes = number_bytes(stats->bytes),
                          count = number_count(stats->allocs), leaked = number_bytes(stats_live_bytes(stats)),
                          share = number_percent(stats_metric(stats, arguments->metric), whole);
            char *label = symbol_label(groups.items[i].symbol);
            grid_add(grid,
                     (const char *[]){peak.text, bytes.text, count.text, leaked.text, share.text, label});
            free(label);
        }
        grid_print(grid);
        if (groups.count > rows)
            printf("%s%zu more functions; --limit shows them%s\n", term_on(STYLE_DIM), groups.count - rows,
                   term_off());
    }
    groups_finish(&groups);
    loaded_end(&loaded);
    return TOOL_OK;
}

/* ---- leaks --------------------------------------------------------------------------------------------- */

static int site_compare(const void *a, const void *b)
{
    const struct site *left = *(const struct site *const *)a, *right = *(const struct site *const *)b;
    uint64_t more = stats_live_bytes(&left->stats), less = stats_live_bytes(&right->stats);
    if (more != less)
        return more > less ? -1 : 1;
    return left->node < right->node ? -1 : left->node > right->node;
}

static void print_stack(struct symbols *symbols, uint32_t node, unsigned depth)
{
    size_t count;
    const struct symbol *const *stack = symbols_stack(symbols, node, &count);
    for (size_t i = count; i-- > 0 && depth > 0; depth--) {
        char *label = symbol_label(stack[i]);
        char *text = term.terminal ? term_shorten(label, term.width - 12) : tool_copy(label, strlen(label));
        printf("            %s%s%s\n", term_on(i + 1 == count ? STYLE_TITLE : STYLE_DIM), text, term_off());
        free(text);
        free(label);
    }
}

int command_leaks(const struct arguments *arguments)
{
    struct loaded loaded;
    loaded_begin(&loaded, arguments);
    const struct model *model = &loaded.model;
    const struct site **sites = tool_make(model->site_count, sizeof(struct site *));
    size_t count = 0;
    for (size_t i = 0; i < model->site_count; i++)
        if (stats_live_blocks(&model->sites[i].stats) > 0)
            sites[count++] = &model->sites[i];
    if (count > 0)
        qsort(sites, count, sizeof *sites, site_compare);
    unsigned depth = arguments->depth > 0 ? arguments->depth : 5, rows = arguments->limit;
    if (arguments->json) {
        struct json json;
        json_begin(&json, model, "leaks");
        json_open(&json, "leaks", '[');
        for (size_t i = 0; i < count && (rows == 0 || i < rows); i++) {
            json_open(&json, NULL, '{');
            json_number(&json, "bytes", stats_live_bytes(&sites[i]->stats));
            json_number(&json, "blocks", stats_live_blocks(&sites[i]->stats));
            json_number(&json, "allocs", sites[i]->stats.allocs);
            json_stack(&json, "stack", loaded.symbols, sites[i]->node);
            json_close(&json, '}');
        }
        json_close(&json, ']');
        json_end(&json);
    } else {
        print_title(model, "blocks not freed");
        rows = rows == 0 ? rows_of(arguments, 4) / (depth + 1) : rows;
        rows = rows == 0 ? 1 : rows;
        for (size_t i = 0; i < count && i < rows; i++) {
            const struct stats *stats = &sites[i]->stats;
            printf("%s%10s%s  in %s of %s blocks\n", term_on(STYLE_WARM),
                   number_bytes(stats_live_bytes(stats)).text, term_off(),
                   number_count(stats_live_blocks(stats)).text, number_count(stats->allocs).text);
            print_stack(loaded.symbols, sites[i]->node, depth);
        }
        printf("%s%s%s in %s blocks were not freed, from %zu call stacks%s\n",
               term_on(count == 0 ? STYLE_GOOD : STYLE_WARM), model->sampled ? "about " : "",
               number_bytes(model->totals.live_bytes).text, number_count(model->totals.live_blocks).text,
               count, term_off());
    }
    free(sites);
    loaded_end(&loaded);
    return TOOL_OK;
}

/* ---- distributions ------------------------------------------------------------------------------------- */

enum { LABEL_BYTES = 3 * NUMBER_BYTES };

static void print_histogram(const uint64_t *buckets, unsigned count, const char *(*label)(unsigned, char *))
{
    uint64_t most = 0, all = 0;
    for (unsigned i = 0; i < count; i++) {
        most = buckets[i] > most ? buckets[i] : most;
        all += buckets[i];
    }
    for (unsigned i = 0; i < count; i++) {
        if (buckets[i] == 0)
            continue;
        char name[LABEL_BYTES], *bar = bar_text(buckets[i], most, term.width > 60 ? term.width - 56 : 10);
        printf("%22s  %s%14s%s %7s  %s%s%s\n", label(i, name), term_on(STYLE_NUMBER),
               number_count(buckets[i]).text, term_off(), number_percent(buckets[i], all).text,
               term_on(STYLE_NUMBER), bar, term_off());
        free(bar);
    }
}

static const char *size_label(unsigned bucket, char *name)
{
    snprintf(name, LABEL_BYTES, "%s .. %s", bucket == 0 ? "0 B" : number_bytes(UINT64_C(1) << bucket).text,
             number_bytes((UINT64_C(2) << bucket) - 1).text);
    return name;
}

static const char *age_label(unsigned bucket, char *name)
{
    if (bucket == 0)
        snprintf(name, LABEL_BYTES, "before the next");
    else
        snprintf(name, LABEL_BYTES, "%s .. %s later", number_count(UINT64_C(1) << bucket).text,
                 number_count((UINT64_C(2) << bucket) - 1).text);
    return name;
}

/* The end of a distribution in which at least `percent` lie. */
static unsigned bucket_at(const uint64_t *buckets, unsigned count, unsigned percent)
{
    uint64_t all = 0, sum = 0;
    for (unsigned i = 0; i < count; i++)
        all += buckets[i];
    for (unsigned i = 0; i < count; i++) {
        sum += buckets[i];
        if (sum >= all - all / 100 * (100 - percent) && sum > 0)
            return i;
    }
    return 0;
}

int command_lifetimes(const struct arguments *arguments)
{
    static const struct grid_column columns[] = {
        {"blocks", true, STYLE_NUMBER},    {"freed at once", true, STYLE_NUMBER},
        {"mean life", true, STYLE_NUMBER}, {"median age", true, STYLE_NUMBER},
        {"not freed", true, STYLE_WARM},   {"asked for by", false, STYLE_TITLE}};
    struct loaded loaded;
    struct groups groups;
    loaded_begin(&loaded, arguments);
    groups_make(&groups, &loaded.model, loaded.symbols,
                arguments->metric_given ? arguments->metric : METRIC_COUNT);
    if (arguments->json) {
        groups_json(&loaded, &groups, "lifetimes", arguments->metric_given ? arguments->metric : METRIC_COUNT,
                    arguments->limit);
    } else {
        struct stats all = {0};
        for (size_t i = 0; i < loaded.model.site_count; i++)
            stats_add(&all, &loaded.model.sites[i].stats);
        print_title(&loaded.model, "lives, in allocations");
        print_histogram(all.age, NBT_AGE_BUCKETS, age_label);
        unsigned used = 4;
        for (unsigned i = 0; i < NBT_AGE_BUCKETS; i++)
            used += all.age[i] > 0;
        struct grid *grid = grid_create(columns, sizeof columns / sizeof columns[0]);
        unsigned rows = rows_of(arguments, used);
        for (size_t i = 0; i < groups.count && i < rows; i++) {
            const struct stats *stats = &groups.items[i].stats;
            char age[LABEL_BYTES], *label = symbol_label(groups.items[i].symbol);
            snprintf(age, sizeof age, stats->frees == 0 ? "-" : "%llu",
                     1ull << bucket_at(stats->age, NBT_AGE_BUCKETS, 50));
            struct number count = number_count(stats->allocs),
                          once = number_percent(stats->frees_at_once, stats->allocs),
                          mean = number_time(stats->frees == 0 ? 0 : stats->life_ns / stats->frees),
                          left = number_count(stats_live_blocks(stats));
            grid_add(grid, (const char *[]){count.text, once.text, stats->frees == 0 ? "-" : mean.text, age,
                                            left.text, label});
            free(label);
        }
        grid_print(grid);
    }
    groups_finish(&groups);
    loaded_end(&loaded);
    return TOOL_OK;
}

int command_sizes(const struct arguments *arguments)
{
    static const struct grid_column columns[] = {{"blocks", true, STYLE_NUMBER},
                                                 {"mean size", true, STYLE_NUMBER},
                                                 {"largest", true, STYLE_NUMBER},
                                                 {"slack", true, STYLE_WARM},
                                                 {"asked for by", false, STYLE_TITLE}};
    struct loaded loaded;
    struct groups groups;
    enum metric metric = arguments->metric_given ? arguments->metric : METRIC_BYTES;
    loaded_begin(&loaded, arguments);
    groups_make(&groups, &loaded.model, loaded.symbols, metric);
    if (arguments->json) {
        groups_json(&loaded, &groups, "sizes", metric, arguments->limit);
    } else {
        struct stats all = {0};
        for (size_t i = 0; i < loaded.model.site_count; i++)
            stats_add(&all, &loaded.model.sites[i].stats);
        print_title(&loaded.model, "sizes that were asked for");
        print_histogram(all.size, NBT_SIZE_BUCKETS, size_label);
        unsigned used = 4;
        for (unsigned i = 0; i < NBT_SIZE_BUCKETS; i++)
            used += all.size[i] > 0;
        struct grid *grid = grid_create(columns, sizeof columns / sizeof columns[0]);
        unsigned rows = rows_of(arguments, used);
        for (size_t i = 0; i < groups.count && i < rows; i++) {
            const struct stats *stats = &groups.items[i].stats;
            char *label = symbol_label(groups.items[i].symbol);
            struct number count = number_count(stats->allocs),
                          mean = number_bytes(stats->allocs == 0 ? 0 : stats->bytes / stats->allocs),
                          most = number_bytes(stats->size_max),
                          slack = number_percent(stats->usable_bytes - stats->bytes, stats->usable_bytes);
            grid_add(grid, (const char *[]){count.text, mean.text, most.text,
                                            stats->usable_bytes > stats->bytes ? slack.text : "-", label});
            free(label);
        }
        grid_print(grid);
    }
    groups_finish(&groups);
    loaded_end(&loaded);
    return TOOL_OK;
}

/* ---- threads, realloc ---------------------------------------------------------------------------------- */

static int thread_compare(const void *a, const void *b)
{
    const struct thread *left = *(const struct thread *const *)a, *right = *(const struct thread *const *)b;
    if (left->bytes != right->bytes)
        return left->bytes > right->bytes ? -1 : 1;
    return left->begin_ns < right->begin_ns ? -1 : left->begin_ns > right->begin_ns;
}

static void threads_json(const struct model *model, const struct thread **threads, size_t rows)
{
    struct json json;
    json_begin(&json, model, "threads");
    json_open(&json, "threads", '[');
    for (size_t i = 0; i < rows; i++) {
        const struct thread *thread = threads[i];
        json_open(&json, NULL, '{');
        json_number(&json, "pid", model->processes[thread->process].pid);
        json_number(&json, "tid", thread->tid);
        json_text(&json, "name", thread->name);
        json_number(&json, "begin_ns", thread->begin_ns);
        if (thread->ended)
            json_number(&json, "end_ns", thread->end_ns);
        if (thread->counted) {
            json_number(&json, "allocs", thread->allocs);
            json_number(&json, "bytes", thread->bytes);
            json_number(&json, "frees", thread->frees);
            json_number(&json, "freed_bytes", thread->freed_bytes);
            json_number(&json, "frees_of_other_threads_blocks", thread->frees_remote);
        }
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_end(&json);
}

int command_threads(const struct arguments *arguments)
{
    static const struct grid_column columns[] = {
        {"allocated", true, STYLE_NUMBER}, {"blocks", true, STYLE_NUMBER}, {"freed", true, STYLE_NUMBER},
        {"of others", true, STYLE_WARM},   {"from", true, STYLE_DIM},      {"to", true, STYLE_DIM},
        {"thread", false, STYLE_TITLE}};
    struct loaded loaded;
    loaded_begin(&loaded, arguments);
    const struct model *model = &loaded.model;
    const struct thread **threads = tool_make(model->thread_count, sizeof(struct thread *));
    for (size_t i = 0; i < model->thread_count; i++)
        threads[i] = &model->threads[i];
    if (model->thread_count > 0)
        qsort(threads, model->thread_count, sizeof *threads, thread_compare);
    unsigned rows = rows_of(arguments, 4);
    if (arguments->json) {
        threads_json(model, threads,
                     arguments->limit > 0 && arguments->limit < model->thread_count ? arguments->limit
                                                                                    : model->thread_count);
    } else {
        char *what = tool_text("%zu threads", model->thread_count);
        print_title(model, what);
        free(what);
        struct grid *grid = grid_create(columns, sizeof columns / sizeof columns[0]);
        for (size_t i = 0; i < model->thread_count && i < rows; i++) {
            const struct thread *thread = threads[i];
            struct number bytes = number_bytes(thread->bytes), count = number_count(thread->allocs),
                          frees = number_count(thread->frees),
                          remote = number_percent(thread->frees_remote, thread->frees),
                          begin = number_time(thread->begin_ns), end = number_time(thread->end_ns);
            char *label = tool_text("%s %u", thread->name[0] == '\0' ? "thread" : thread->name, thread->tid);
            bool known = thread->counted;
            grid_add(grid, (const char *[]){known ? bytes.text : "-", known ? count.text : "-",
                                            known ? frees.text : "-", known ? remote.text : "-", begin.text,
                                            thread->ended ? end.text : "the end", label});
            free(label);
        }
        grid_print(grid);
        if (model->thread_count > rows)
            printf("%s%zu more threads; --limit shows them%s\n", term_on(STYLE_DIM),
                   model->thread_count - rows, term_off());
    }
    free(threads);
    loaded_end(&loaded);
    return TOOL_OK;
}

static int realloc_compare(const void *a, const void *b)
{
    const struct stats *left = &((const struct group *)a)->stats, *right = &((const struct group *)b)->stats;
    if (left->reallocs != right->reallocs)
        return left->reallocs > right->reallocs ? -1 : 1;
    return left->bytes > right->bytes ? -1 : left->bytes < right->bytes;
}

int command_realloc(const struct arguments *arguments)
{
    static const struct grid_column columns[] = {
        {"reallocs", true, STYLE_NUMBER},      {"moved", true, STYLE_WARM},
        {"of all blocks", true, STYLE_NUMBER}, {"mean size", true, STYLE_NUMBER},
        {"largest", true, STYLE_NUMBER},       {"resized by", false, STYLE_TITLE}};
    struct loaded loaded;
    struct groups groups;
    loaded_begin(&loaded, arguments);
    groups_make(&groups, &loaded.model, loaded.symbols, METRIC_BYTES);
    if (groups.count > 0)
        qsort(groups.items, groups.count, sizeof *groups.items, realloc_compare);
    size_t count = 0;
    while (count < groups.count && groups.items[count].stats.reallocs > 0)
        count++;
    unsigned rows = rows_of(arguments, 4);
    if (arguments->json) {
        struct json json;
        json_begin(&json, &loaded.model, "realloc");
        json_open(&json, "functions", '[');
        for (size_t i = 0; i < count && (arguments->limit == 0 || i < rows); i++)
            group_json(&json, &groups.items[i], loaded.symbols);
        json_close(&json, ']');
        json_end(&json);
    } else {
        print_title(&loaded.model, count == 0 ? "nothing was resized" : "blocks that were resized");
        struct grid *grid = grid_create(columns, sizeof columns / sizeof columns[0]);
        for (size_t i = 0; i < count && i < rows; i++) {
            const struct stats *stats = &groups.items[i].stats;
            char *label = symbol_label(groups.items[i].symbol);
            struct number all = number_count(stats->reallocs),
                          moved = number_percent(stats->reallocs_moved, stats->reallocs),
                          share = number_percent(stats->reallocs, stats->allocs),
                          mean = number_bytes(stats->bytes / stats->allocs),
                          most = number_bytes(stats->size_max);
            grid_add(grid, (const char *[]){all.text, moved.text, share.text, mean.text, most.text, label});
            free(label);
        }
        if (count > 0)
            grid_print(grid);
        else
            free(grid);
    }
    groups_finish(&groups);
    loaded_end(&loaded);
    return TOOL_OK;
}

/* ---- fragmentation ------------------------------------------------------------------------------------- */

static int pinner_node_compare(const void *a, const void *b)
{
    uint32_t left = ((const struct pinner *)a)->node, right = ((const struct pinner *)b)->node;
    return left < right ? -1 : left > right;
}

static int pinner_compare(const void *a, const void *b)
{
    const struct pinner *left = a, *right = b;
    return left->idle_bytes > right->idle_bytes ? -1 : left->idle_bytes < right->idle_bytes;
}

struct pinner *pinners_make(const struct model *model, size_t *count)
{
    struct pinner *pinners = tool_make(model->pin_count, sizeof *pinners);
    size_t all = 0, kept = 0;
    for (size_t s = 0; s < model->slab_count; s++) {
        const struct slab_view *slab = &model->slabs[s];
        uint64_t idle = slab->capacity > slab->used ? (slab->capacity - slab->used) * slab->block_bytes : 0;
        for (size_t i = 0; i < slab->pin_count; i++) {
            const struct pin *pin = &model->pins[slab->first_pin + i];
            uint64_t share =
                slab->used == 0 ? 0 : tool_whole((double)idle * (double)pin->blocks / (double)slab->used);
            pinners[all++] = (struct pinner){pin->node, 1, pin->blocks, share};
        }
    }
    if (all > 0)
        qsort(pinners, all, sizeof *pinners, pinner_node_compare);
    for (size_t i = 0; i < all; i++) {
        if (kept > 0 && pinners[kept - 1].node == pinners[i].node) {
            pinners[kept - 1].slabs += pinners[i].slabs;
            pinners[kept - 1].blocks += pinners[i].blocks;
            pinners[kept - 1].idle_bytes += pinners[i].idle_bytes;
        } else {
            pinners[kept++] = pinners[i];
        }
    }
    if (kept > 0)
        qsort(pinners, kept, sizeof *pinners, pinner_compare);
    *count = kept;
    return pinners;
}

static void frag_json(struct loaded *loaded, const struct pinner *pinners, size_t count)
{
    struct json json;
    const struct model *model = &loaded->model;
    json_begin(&json, model, "frag");
    json_open(&json, "classes", '[');
    for (size_t p = 0; p < model->process_count; p++)
        for (size_t i = 0; i < model->processes[p].class_count; i++) {
            const struct nbt_class *class = &model->processes[p].classes[i];
            json_open(&json, NULL, '{');
            json_number(&json, "pid", model->processes[p].pid);
            json_number(&json, "block_bytes", class->block_bytes);
            json_number(&json, "slabs", class->slabs);
            json_number(&json, "blocks", class->blocks);
            json_number(&json, "live", class->live);
            json_number(&json, "cached", class->cached);
            json_number(&json, "slab_bytes", class->slab_bytes);
            json_number(&json, "live_bytes", class->live_bytes);
            json_close(&json, '}');
        }
    json_close(&json, ']');
    json_open(&json, "pins", '[');
    for (size_t i = 0; i < count; i++) {
        json_open(&json, NULL, '{');
        json_number(&json, "idle_bytes", pinners[i].idle_bytes);
        json_number(&json, "slabs", pinners[i].slabs);
        json_number(&json, "blocks", pinners[i].blocks);
        json_stack(&json, "stack", loaded->symbols, pinners[i].node);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_end(&json);
}

static int class_compare(const void *a, const void *b)
{
    const struct nbt_class *left = *(const struct nbt_class *const *)a,
                           *right = *(const struct nbt_class *const *)b;
    if (left->slab_bytes != right->slab_bytes)
        return left->slab_bytes > right->slab_bytes ? -1 : 1;
    return left->block_bytes < right->block_bytes ? -1 : left->block_bytes > right->block_bytes;
}

/* Bytes of the blocks that the program has. Of large blocks the sizes may not be known. */
static uint64_t class_used(const struct nbt_class *class)
{
    uint64_t used = class->block_bytes == 0 ? class->live_bytes : class->live * class->block_bytes;
    return used == 0 && class->live > 0 ? class->slab_bytes : used;
}

static void print_classes(const struct process *process, unsigned rows)
{
    static const struct grid_column columns[] = {
        {"size class", true, STYLE_TITLE}, {"slabs", true, STYLE_NUMBER},  {"slab bytes", true, STYLE_NUMBER},
        {"live", true, STYLE_NUMBER},      {"cached", true, STYLE_NUMBER}, {"in use", true, STYLE_WARM},
        {"", false, STYLE_NUMBER}};
    const struct nbt_class **classes = tool_make(process->class_count, sizeof(struct nbt_class *));
    struct nbt_class rest = {0};
    size_t count = 0;
    uint64_t rest_used = 0;
    for (size_t i = 0; i < process->class_count; i++)
        if (process->classes[i].slab_bytes > 0 || process->classes[i].live > 0)
            classes[count++] = &process->classes[i];
    if (count > 0)
        qsort(classes, count, sizeof *classes, class_compare);
    for (size_t i = rows; i < count; i++) {
        rest.slabs += classes[i]->slabs;
        rest.slab_bytes += classes[i]->slab_bytes;
        rest.live += classes[i]->live;
        rest.cached += classes[i]->cached;
        rest_used += class_used(classes[i]);
    }
    struct grid *grid = grid_create(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count && i <= rows; i++) {
        const struct nbt_class *class = i == rows ? &rest : classes[i];
        uint64_t used = i == rows ? rest_used : class_used(class);
        char *bar = bar_text(used, class->slab_bytes, 16);
        struct number size = number_bytes(class->block_bytes), slabs = number_count(class->slabs),
                      bytes = number_bytes(class->slab_bytes), live = number_count(class->live),
                      cached = number_count(class->cached), share = number_percent(used, class->slab_bytes);
        const char *name = i == rows ? "others" : class->block_bytes == 0 ? "large" : size.text;
        grid_add(grid,
                 (const char *[]){name, slabs.text, bytes.text, live.text, cached.text, share.text, bar});
        free(bar);
    }
    grid_print(grid);
    free(classes);
}

int command_frag(const struct arguments *arguments)
{
    struct loaded loaded;
    loaded_begin(&loaded, arguments);
    const struct model *model = &loaded.model;
    size_t count;
    struct pinner *pinners = pinners_make(model, &count);
    if (arguments->json) {
        frag_json(&loaded, pinners, count);
    } else {
        bool known = false;
        print_title(model, "the allocator, at the end");
        for (size_t i = 0; i < model->process_count; i++) {
            known |= model->processes[i].class_count > 0;
            if (model->processes[i].class_count > 0)
                print_classes(&model->processes[i], arguments->limit > 0 ? arguments->limit : 10);
        }
        if (!known)
            printf("no snapshot of the allocator: one is made at the end and by `ctl PID dump`\n");
        if (count > 0)
            printf("\nblocks that keep mostly empty slabs:\n");
        for (size_t i = 0; i < count && i < (arguments->limit > 0 ? arguments->limit : 2); i++) {
            printf("%s%10s%s idle in %s slabs, kept by %s blocks of\n", term_on(STYLE_WARM),
                   number_bytes(pinners[i].idle_bytes).text, term_off(), number_count(pinners[i].slabs).text,
                   number_count(pinners[i].blocks).text);
            print_stack(loaded.symbols, pinners[i].node, arguments->depth > 0 ? arguments->depth : 3);
        }
    }
    free(pinners);
    loaded_end(&loaded);
    return TOOL_OK;
}
