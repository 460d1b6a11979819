/* front/config.h: what is accepted, and the one line that is said about what is not. */
#include "front/config.h"
#include "unit/unit.h"
#include <stdio.h>
#include <unistd.h>

static uint64_t values[OPTION_COUNT];
static char said[8192];

/* Parses; what went to stderr is in said. */
static void parse(const char *text)
{
    FILE *file = tmpfile();
    int old = dup(2);
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(dup2(fileno(file), 2), 0);
    memset(values, 0xFF, sizeof values);
    neb_config_parse(text, values);
    ck_assert_int_ge(dup2(old, 2), 0);
    (void)close(old);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    (void)fclose(file);
}

static unsigned lines_said(void)
{
    unsigned lines = 0;
    for (const char *p = said; *p != '\0'; p++)
        lines += *p == '\n';
    return lines;
}

static void check_defaults_but(unsigned changed)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (i != changed)
            ck_assert_uint_eq(values[i], neb_options[i].default_value);
}

START_TEST(without_text_all_options_have_their_defaults_and_nothing_is_said)
{
    static const char *const texts[] = {NULL, "", ",", ",,,"};
    for (unsigned i = 0; i < 4; i++) {
        parse(texts[i]);
        check_defaults_but(OPTION_COUNT);
        ck_assert_str_eq(said, "");
    }
}
END_TEST

START_TEST(every_option_takes_its_whole_range_and_no_more)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        char text[128];
        if (i == OPTION_help)
            continue;
        const struct option *option = &neb_options[i];
        ck_assert_uint_le(option->min, option->default_value);
        ck_assert_uint_le(option->default_value, option->max);
        uint64_t good[] = {option->min, option->max, option->default_value};
        for (unsigned j = 0; j < 3; j++) {
            (void)snprintf(text, sizeof text, "%s=%lu", option->name, (unsigned long)good[j]);
            parse(text);
            ck_assert_uint_eq(values[i], good[j]);
            check_defaults_but(i);
            ck_assert_str_eq(said, "");
        }
        (void)snprintf(text, sizeof text, "%s=%lu", option->name, (unsigned long)option->max + 1);
        parse(text);
        check_defaults_but(OPTION_COUNT);
        ck_assert_uint_eq(lines_said(), 1);
        ck_assert_ptr_nonnull(strstr(said, option->name));
    }
}
END_TEST

START_TEST(a_key_alone_switches_on)
{
    parse("stats");
    ck_assert_uint_eq(values[OPTION_stats], 1);
    parse("stats,decay_ms=7");
    ck_assert_uint_eq(values[OPTION_stats], 1);
    ck_assert_uint_eq(values[OPTION_decay_ms], 7);
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(the_last_of_several_values_counts)
{
    parse("decay_ms=1,stats=1,decay_ms=2,,stats=0,");
    ck_assert_uint_eq(values[OPTION_decay_ms], 2);
    ck_assert_uint_eq(values[OPTION_stats], 0);
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(a_wrong_value_gets_one_line_with_the_range_and_the_default_is_used)
{
    static const char *const wrong[] = {"",
                                        "x",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "0x10",
                                        "1.5",
                                        "1=2",
                                        "99999999999999999999",
                                        "18446744073709551616",
                                        "36000000000000000000000000000000000000001"};
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "decay_ms=%s", wrong[i]);
        parse(text);
        check_defaults_but(OPTION_COUNT);
        ck_assert_uint_eq(lines_said(), 1);
        ck_assert_ptr_nonnull(strstr(said, "NEBMALLOC: decay_ms="));
        ck_assert_ptr_nonnull(strstr(said, "from 0 to 3600000; using 50"));
    }
}
END_TEST

START_TEST(a_wrong_value_does_not_undo_a_right_one_nor_stop_what_follows)
{
    parse("decay_ms=5,decay_ms=x,stats=1");
    ck_assert_uint_eq(values[OPTION_stats], 1);
    ck_assert_uint_eq(lines_said(), 1);
    /* The line says which value is used: it must be the truth. */
    char used[64];
    (void)snprintf(used, sizeof used, "using %lu\n", (unsigned long)values[OPTION_decay_ms]);
    ck_assert_msg(strstr(said, used) != NULL, "%s is used, but this was said: %s", used, said);
}
END_TEST

START_TEST(an_unknown_key_gets_one_line_that_names_it)
{
    static const char *const unknown[] = {"decay", "decay_ms2", "DECAY_MS", "x", "=", "=5"};
    for (unsigned i = 0; i < 4; i++) {
        parse(unknown[i]);
        check_defaults_but(OPTION_COUNT);
        ck_assert_uint_eq(lines_said(), 1);
        ck_assert_ptr_nonnull(strstr(said, unknown[i]));
        ck_assert_ptr_nonnull(strstr(said, "unknown option"));
    }
    parse("unknown=1,other=2,decay_ms=3");
    ck_assert_uint_eq(lines_said(), 2);
    ck_assert_uint_eq(values[OPTION_decay_ms], 3);
}
END_TEST

START_TEST(long_keys_and_values_still_get_one_line)
{
    static char text[5000];
    memset(text, 'k', 2000);
    parse(text);
    ck_assert_uint_eq(lines_said(), 1);
    ck_assert_uint_lt(strlen(said), 300);
    (void)snprintf(text, sizeof text, "decay_ms=");
    memset(text + strlen(text), '1', 2000);
    parse(text);
    ck_assert_uint_eq(lines_said(), 1);
    ck_assert_uint_lt(strlen(said), 300);
    check_defaults_but(OPTION_COUNT);
}
END_TEST

START_TEST(mode_is_one_of_four_words)
{
    static const char *const words[] = {"off", "sample", "profile", "trace"};
    for (unsigned i = 0; i < 4; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "mode=%s,stats=1", words[i]);
        parse(text);
        ck_assert_uint_eq(values[OPTION_mode], i);
        ck_assert_uint_eq(values[OPTION_stats], 1);
        ck_assert_str_eq(said, "");
    }
    static const char *const wrong[] = {"mode=", "mode=profil", "mode=profiles", "mode=4", "mode=Trace"};
    for (unsigned i = 0; i < 5; i++) {
        parse(wrong[i]);
        check_defaults_but(OPTION_COUNT);
        ck_assert_uint_eq(lines_said(), 1);
        ck_assert_ptr_nonnull(strstr(said, "is none of off|sample|profile|trace"));
    }
}
END_TEST

START_TEST(out_is_a_text)
{
    parse("stats=1,out=/tmp/a=b.%p.nbt,mode=trace");
    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(values[OPTION_mode], 3);
    ck_assert_str_eq(neb_config_text(TEXT_OPTION_out), "/tmp/a=b.%p.nbt");
    parse("mode=trace");
    ck_assert_ptr_null(neb_config_text(TEXT_OPTION_out));
    static const char *const wrong[] = {"out", "out=", "out=,stats=0"};
    for (unsigned i = 0; i < 3; i++) {
        parse(wrong[i]);
        ck_assert_ptr_null(neb_config_text(TEXT_OPTION_out));
        ck_assert_uint_eq(lines_said(), 1);
        ck_assert_ptr_nonnull(strstr(said, "out needs a value"));
    }
}
END_TEST

START_TEST(help_lists_every_option_whole)
{
    parse("help");
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        ck_assert_ptr_nonnull(strstr(said, neb_options[i].name));
        ck_assert_ptr_nonnull(strstr(said, neb_options[i].help));
    }
    ck_assert_int_eq(said[strlen(said) - 1], '\n');
    parse("help=0");
    ck_assert_str_eq(said, "");
}
END_TEST

UNIT_MAIN("config", HOLDS(without_text_all_options_have_their_defaults_and_nothing_is_said),
          HOLDS(every_option_takes_its_whole_range_and_no_more), HOLDS(a_key_alone_switches_on),
          HOLDS(the_last_of_several_values_counts),
          HOLDS(a_wrong_value_gets_one_line_with_the_range_and_the_default_is_used),
          HOLDS(a_wrong_value_does_not_undo_a_right_one_nor_stop_what_follows),
          HOLDS(an_unknown_key_gets_one_line_that_names_it), HOLDS(long_keys_and_values_still_get_one_line),
          HOLDS(mode_is_one_of_four_words), HOLDS(out_is_a_text), HOLDS(help_lists_every_option_whole))
