/* tree.c - a little compiler: source text to tokens, to a tree, to a simpler tree, to a value; one bump arena for each
 * unit, reset between two of them.
 *
 *   unit:        { name = expression ; }
 *   expression:  term { (+|-) term }     term: factor { (*|/) factor }     factor: number | name | ( expression ) | - factor
 */
#include <nebmalloc/bump.h>

#include "versus.h"
#include <ctype.h>

enum kind { NUMBER, NAME, NEGATE, ADD, SUBTRACT, MULTIPLY, DIVIDE };

struct node {
    enum kind kind;
    struct node *left, *right;
    int64_t value;
    const char *name; /* interned */
};

struct symbol {
    struct symbol *next;
    char *name;
    int64_t value;
};

struct compiler {
    neb_bump *arena; /* NULL: malloc */
    const char *at;
    struct symbol *bucket[64];
};

static void *take(struct compiler *compiler, size_t size)
{
    return or_die(compiler->arena != NULL ? neb_bump_alloc(compiler->arena, size) : malloc(size));
}

static struct symbol *intern(struct compiler *compiler, const char *name, size_t length)
{
    unsigned hash = 5381;
    for (size_t i = 0; i < length; i++)
        hash = hash * 33 + (unsigned char)name[i];
    struct symbol **bucket = &compiler->bucket[hash % 64];
    for (struct symbol *symbol = *bucket; symbol != NULL; symbol = symbol->next)
        if (strncmp(symbol->name, name, length) == 0 && symbol->name[length] == '\0')
            return symbol;
    struct symbol *symbol = take(compiler, sizeof *symbol);
    symbol->name = take(compiler, length + 1);
    memcpy(symbol->name, name, length);
    symbol->name[length] = '\0';
    symbol->value = 0;
    symbol->next = *bucket;
    *bucket = symbol;
    return symbol;
}

static struct node *make(struct compiler *compiler, enum kind kind, struct node *left, struct node *right)
{
    struct node *node = take(compiler, sizeof *node);
    *node = (struct node){kind, left, right, 0, NULL};
    return node;
}

static char peek(struct compiler *compiler)
{
    while (isspace((unsigned char)*compiler->at))
        compiler->at++;
    return *compiler->at;
}

static struct node *expression(struct compiler *compiler);

static size_t name_length(const char *at)
{
    size_t length = 0;
    while (isalnum((unsigned char)at[length]))
        length++;
    return length;
}

static struct node *factor(struct compiler *compiler)
{
    char c = peek(compiler);
    if (c == '-' || c == '(') {
        compiler->at++;
        if (c == '-')
            return make(compiler, NEGATE, factor(compiler), NULL);
        struct node *inner = expression(compiler);
        if (peek(compiler) == ')')
            compiler->at++;
        return inner;
    }
    struct node *node = make(compiler, isdigit((unsigned char)c) ? NUMBER : NAME, NULL, NULL);
    if (node->kind == NUMBER) {
        while (isdigit((unsigned char)*compiler->at))
            node->value = node->value * 10 + (*compiler->at++ - '0');
    } else {
        size_t length = name_length(compiler->at);
        node->name = intern(compiler, compiler->at, length)->name;
        compiler->at += length;
    }
    return node;
}

static struct node *term(struct compiler *compiler)
{
    struct node *left = factor(compiler);
    for (char c; (c = peek(compiler)) == '*' || c == '/';) {
        compiler->at++;
        left = make(compiler, c == '*' ? MULTIPLY : DIVIDE, left, factor(compiler));
    }
    return left;
}

static struct node *expression(struct compiler *compiler)
{
    struct node *left = term(compiler);
    for (char c; (c = peek(compiler)) == '+' || c == '-';) {
        compiler->at++;
        left = make(compiler, c == '+' ? ADD : SUBTRACT, left, term(compiler));
    }
    return left;
}

static int64_t apply(enum kind kind, int64_t left, int64_t right)
{
    uint64_t a = (uint64_t)left, b = (uint64_t)right;
    switch (kind) {
    case NEGATE:
        return (int64_t)(0 - a);
    case ADD:
        return (int64_t)(a + b);
    case SUBTRACT:
        return (int64_t)(a - b);
    case MULTIPLY:
        return (int64_t)(a * b);
    default:
        return right == 0 || right == -1 ? left : left / right;
    }
}

/* Constants are folded: a new tree, the old one stays as it was. */
static struct node *fold(struct compiler *compiler, const struct node *node)
{
    struct node *copy = make(compiler, node->kind, NULL, NULL);
    copy->value = node->value;
    copy->name = node->name;
    if (node->left != NULL)
        copy->left = fold(compiler, node->left);
    if (node->right != NULL)
        copy->right = fold(compiler, node->right);
    bool is_constant = node->left != NULL && copy->left->kind == NUMBER && (copy->right == NULL || copy->right->kind == NUMBER);
    if (!is_constant)
        return copy;
    copy->value = apply(node->kind, copy->left->value, copy->right == NULL ? 0 : copy->right->value);
    copy->kind = NUMBER;
    if (compiler->arena == NULL) {
        free(copy->left);
        free(copy->right);
    }
    copy->left = copy->right = NULL;
    return copy;
}

static void tree_free(struct node *node)
{
    if (node == NULL)
        return;
    tree_free(node->left);
    tree_free(node->right);
    free(node);
}

static int64_t evaluate(struct compiler *compiler, const struct node *node)
{
    if (node->kind == NUMBER)
        return node->value;
    if (node->kind == NAME)
        return intern(compiler, node->name, strlen(node->name))->value;
    return apply(node->kind, evaluate(compiler, node->left), node->right == NULL ? 0 : evaluate(compiler, node->right));
}

static uint64_t compile_unit(neb_bump *arena, const char *source)
{
    struct compiler compiler = {arena, source, {NULL}};
    uint64_t sum = 0;
    while (peek(&compiler) != '\0') {
        size_t length = name_length(compiler.at);
        struct symbol *target = intern(&compiler, compiler.at, length);
        compiler.at += length;
        if (peek(&compiler) == '=')
            compiler.at++;
        struct node *tree = expression(&compiler), *folded = fold(&compiler, tree);
        if (peek(&compiler) == ';')
            compiler.at++;
        target->value = evaluate(&compiler, folded);
        sum = sum * 31 + (uint64_t)target->value;
        if (arena == NULL) {
            tree_free(tree);
            tree_free(folded);
        }
    }
    for (int i = 0; arena == NULL && i < 64; i++)
        for (struct symbol *symbol = compiler.bucket[i], *next; symbol != NULL; symbol = next) {
            next = symbol->next;
            free(symbol->name);
            free(symbol);
        }
    return sum;
}

static char source[1 << 18];

static size_t write_expression(size_t at, uint32_t *random, int depth)
{
    uint32_t kind = versus_random(random) % 8;
    if (depth > 6 || kind < 2)
        return at + (size_t)snprintf(source + at, 16, kind % 2 == 0 ? "%u" : "v%u", versus_random(random) % 100);
    if (kind == 2)
        source[at++] = '-';
    source[at++] = '(';
    at = write_expression(at, random, depth + 1);
    source[at++] = "+-*/"[versus_random(random) % 4];
    at = write_expression(at, random, depth + 1);
    source[at++] = ')';
    return at;
}

static uint64_t compile_all(int use_neb)
{
    neb_bump *arena = use_neb ? or_die(neb_bump_create(NULL)) : NULL;
    uint64_t sum = 0;
    for (int i = 0; i < 150; i++) {
        sum = sum * 7 + compile_unit(arena, source);
        if (use_neb)
            neb_bump_reset(arena);
    }
    neb_bump_destroy(arena);
    return sum;
}

int main(void)
{
    uint32_t random = 99;
    size_t at = 0;
    for (int i = 0; i < 300; i++) {
        at += (size_t)snprintf(source + at, 16, "v%d = ", i % 100);
        at = write_expression(at, &random, 0);
        at += (size_t)snprintf(source + at, 4, ";\n");
    }
    return versus("tree", "bump arena", compile_all);
}
