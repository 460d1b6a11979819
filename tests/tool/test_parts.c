/* The tool's parts that have no file: JSON, numbers, tables of ids, names, packing. */
#include "tests/tool/compose.h"
#include "tests/unit/unit.h"
#include "tool/json.h"
#include "tool/pack.h"
#include "tool/symbols.h"
#include "tool/term.h"

#include <unistd.h>

static char *quoted(const char *text)
{
    char *data = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&data, &bytes);
    json_quote(out, text);
    fclose(out);
    return data;
}

static void quotes_as(const char *text, const char *expected)
{
    char *got = quoted(text);
    ck_assert_str_eq(got, expected);
    free(got);
}

START_TEST(json_texts_are_valid_whatever_they_hold)
{
    quotes_as("plain", "\"plain\"");
    quotes_as("a\"b\\c\n", "\"a\\\"b\\\\c\\u000a\"");
    quotes_as("</script>", "\"\\u003c/script\\u003e\"");
    quotes_as("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    quotes_as("\xc3", "\"\\ufffd\"");
    quotes_as("\xff\xfe", "\"\\ufffd\\ufffd\"");
    quotes_as("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""); /* half of a surrogate pair */
    quotes_as("\xc0\x80", "\"\\ufffd\\ufffd\"");            /* overlong */
}
END_TEST

START_TEST(numbers_are_short_and_have_units)
{
    ck_assert_str_eq(number_bytes(0).text, "0 B");
    ck_assert_str_eq(number_bytes(1023).text, "1023 B");
    ck_assert_str_eq(number_bytes(1024).text, "1.00 KiB");
    ck_assert_str_eq(number_bytes(1536 * 1024).text, "1.50 MiB");
    ck_assert_str_eq(number_bytes(UINT64_MAX).text, "16.0 EiB");
    ck_assert_str_eq(number_count(0).text, "0");
    ck_assert_str_eq(number_count(1234567).text, "1,234,567");
    ck_assert_str_eq(number_count(UINT64_MAX).text, "18,446,744,073,709,551,615");
    ck_assert_str_eq(number_time(999).text, "999 ns");
    ck_assert_str_eq(number_time(1500000).text, "1.50 ms");
    ck_assert_str_eq(number_time(UINT64_C(3600000000000) * 20).text, "20.0 h");
    ck_assert_str_eq(number_percent(1, 0).text, "0.0 %");
}
END_TEST

START_TEST(long_texts_lose_their_middle)
{
    term.unicode = false;
    char *text = term_shorten("abcdefghijklmnopqrstuvwxyz", 12);
    ck_assert_uint_eq(strlen(text), 12);
    ck_assert_ptr_nonnull(strstr(text, ".."));
    ck_assert_int_eq(text[0], 'a');
    ck_assert_int_eq(text[11], 'z');
    free(text);
    text = term_shorten("short", 12);
    ck_assert_str_eq(text, "short");
    free(text);
    ck_assert_uint_eq(term_columns("\xc3\xa4\xe2\x82\xac!"), 3);
    ck_assert_uint_eq(term_fit("\xc3\xa4\xe2\x82\xac!", 2), 5);
}
END_TEST

START_TEST(each_string_has_one_number)
{
    struct strings strings = {0};
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 5000; i++) {
            char *text = tool_text("text %u", i);
            ck_assert_uint_eq(strings_add(&strings, text), i);
            free(text);
        }
    ck_assert_uint_eq(strings.count, 5000);
    strings_finish(&strings);
}
END_TEST

static void demangles_to(const char *name, const char *expected)
{
    char *plain = symbol_demangle(name);
    ck_assert_str_eq(plain, expected);
    free(plain);
}

START_TEST(names_of_cpp_and_rust_are_shown_as_they_are_written)
{
    demangles_to("_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector<int, std::allocator<int> >::push_back");
    demangles_to("_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place");
    demangles_to("_RNvCs1234_7mycrate3foo", "mycrate::foo");
    demangles_to("_Znwm", "operator new");
    demangles_to("_ZNSt6vectorINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEESaIS5_EE5clearEv",
                 "std::vector<std::string, std::allocator<std::string > >::clear");
    demangles_to("main", "main");
    demangles_to("_Znotmangled", "_Znotmangled");
    demangles_to("", "");
}
END_TEST

START_TEST(functions_that_only_pass_a_request_on_are_known)
{
    ck_assert(symbol_passes_on("operator new"));
    ck_assert(symbol_passes_on("std::allocator<int>::allocate"));
    ck_assert(symbol_passes_on("xmalloc"));
    ck_assert(!symbol_passes_on("main"));
    ck_assert(!symbol_passes_on("parse"));
}
END_TEST

START_TEST(a_packed_file_says_the_same_and_is_smaller)
{
    struct composed files[] = {compose_profile("/bin/true"), compose_trace("/bin/true")};
    for (unsigned which = 0; which < 2; which++) {
        char path[] = "/tmp/neb-pack-XXXXXX";
        int fd = mkstemp(path);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, files[which].data, files[which].bytes), (ssize_t)files[which].bytes);
        close(fd);
        struct model before, after;
        model_init(&before);
        model_init(&after);
        ck_assert_ptr_null(reader_file(&before, path));
        uint64_t bytes_before, bytes_after;
        ck_assert_ptr_null(pack_file(path, &bytes_before, &bytes_after));
        ck_assert_uint_eq(bytes_before, files[which].bytes);
        ck_assert_uint_lt(bytes_after, bytes_before / 3);
        ck_assert_ptr_null(reader_file(&after, path));
        ck_assert_uint_eq(after.damage_count, 0);
        model_sum(&before);
        model_sum(&after);
        ck_assert_uint_eq(before.site_count, after.site_count);
        for (size_t i = 0; i < before.site_count; i++)
            ck_assert_mem_eq(&before.sites[i].stats, &after.sites[i].stats, sizeof before.sites[i].stats);
        ck_assert_mem_eq(&before.totals, &after.totals, sizeof before.totals);
        ck_assert_uint_eq(before.node_count, after.node_count);
        ck_assert_uint_eq(before.processes[0].point_count, after.processes[0].point_count);
        model_finish(&before);
        model_finish(&after);
        unlink(path);
        free(files[which].data);
    }
}
END_TEST

START_TEST(a_packed_file_that_is_damaged_loses_one_chunk)
{
    struct composed file = compose_trace("/bin/true");
    char path[] = "/tmp/neb-pack-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, file.data, file.bytes), (ssize_t)file.bytes);
    close(fd);
    uint64_t before, after;
    ck_assert_ptr_null(pack_file(path, &before, &after));
    uint8_t *data = malloc(after);
    FILE *in = fopen(path, "rb");
    ck_assert_uint_eq(fread(data, 1, after, in), after);
    fclose(in);
    unlink(path);
    memset(data + 4096, 0xFF, 16); /* the header of the first chunk: what follows does not begin at a page */
    struct model model;
    model_init(&model);
    struct source source = {.fd = -1, .memory = data, .bytes = after, .name = "test.nbt"};
    ck_assert_ptr_null(reader_source(&model, &source));
    model_sum(&model);
    ck_assert_uint_eq(model.totals.allocs, 6);
    ck_assert_ptr_null(model.processes[0].command);
    ck_assert_uint_eq(model.damage_count, 1);
    model_finish(&model);
    free(data);
    free(file.data);
}
END_TEST

START_TEST(a_damaged_file_is_not_packed)
{
    struct composed file = compose_trace("/bin/true");
    file.data[4096 + 64] ^= 1;
    char path[] = "/tmp/neb-pack-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, file.data, file.bytes), (ssize_t)file.bytes);
    close(fd);
    uint64_t before, after;
    char *refused = pack_file(path, &before, &after);
    ck_assert_ptr_nonnull(strstr(refused, "left as it is"));
    free(refused);
    ck_assert_uint_eq(after, file.bytes);
    unlink(path);
    free(file.data);
}
END_TEST

UNIT_MAIN("tool: parts", HOLDS(json_texts_are_valid_whatever_they_hold),
          HOLDS(numbers_are_short_and_have_units), HOLDS(long_texts_lose_their_middle),
          HOLDS(each_string_has_one_number), HOLDS(names_of_cpp_and_rust_are_shown_as_they_are_written),
          HOLDS(functions_that_only_pass_a_request_on_are_known),
          HOLDS(a_packed_file_says_the_same_and_is_smaller),
          HOLDS(a_packed_file_that_is_damaged_loses_one_chunk), HOLDS(a_damaged_file_is_not_packed))
