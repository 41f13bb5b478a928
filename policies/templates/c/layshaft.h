/* Layshaft's contract, wit/policy.wit, as it lies in memory: what policies written in C are asked and answer in the hooks
 * `meta` and `matching`. Needs no libc. For other hooks `wit-bindgen c wit/policy.wit` (cargo install wit-bindgen-cli) writes
 * the same for any world.
 *
 * What a call allocates lives until the host has read the answer; what shall stay longer has to be copied. */
#ifndef LAYSHAFT_H
#define LAYSHAFT_H

typedef unsigned char u8;
typedef unsigned int u32;

typedef struct { const char *at; u32 len; } text;
typedef struct { const text *at; u32 count; } texts;
typedef struct { u8 is_some; text value; } optional_text;

/* meta */
enum { SHOW_NO_VALUES, SHOW_NAMED_VALUES, SHOW_ALL_VALUES };
typedef struct { u8 project, node_name; texts labels; u8 parameter_values; texts named; } needs;
typedef struct { text name, version, summary; needs needs; } description;
typedef struct { u8 is_error; text error; } configured;

/* matching */
enum { FREESTYLE, MAVEN, MATRIX, PIPELINE, OTHER };
typedef struct { text full_name, short_name; } project;
typedef struct { u8 is_some; project value; } optional_project;
typedef struct { u8 built_in, exclusive; optional_text name; texts labels; } node_class;
typedef struct {
    text controller;
    optional_project project;
    u8 kind;
    optional_text expression;
    texts atoms;
    node_class node;
    u8 classic;
} question;
enum { ABSTAIN, VETO, SATISFIES };
typedef struct { u8 answer; texts atoms; text reason; texts trace; } verdict;

/* What a policy defines. */
static void describe(description *self);
static void configure(text settings, configured *result);
static void matches(const question *question, verdict *verdict);

#define TEXT(literal) ((text){ literal, sizeof(literal) - 1 })

static int same(text one, text other) {
    if (one.len != other.len) return 0;
    for (u32 i = 0; i < one.len; i++) if (one.at[i] != other.at[i]) return 0;
    return 1;
}

static int holds(texts list, text wanted) {
    for (u32 i = 0; i < list.count; i++) if (same(list.at[i], wanted)) return 1;
    return 0;
}

/* The memory behind the data, given out front to back and taken back as a whole after each call. */
extern u8 __heap_base;
static u32 arena;

static void *take(u32 align, u32 size) {
    if (!arena) arena = (u32)&__heap_base;
    u32 at = (arena + align - 1) & ~(align - 1);
    if (size > 0xffffffffu - at) __builtin_trap();
    arena = at + size;
    u32 pages = __builtin_wasm_memory_size(0), wanted = (arena + 0xffffu) >> 16;
    if (wanted > pages && __builtin_wasm_memory_grow(0, wanted - pages) == (u32)-1) __builtin_trap();
    return (void *)at;
}

/* Puts texts behind one another. */
static text joined(const text *parts, u32 count) {
    u32 len = 0;
    for (u32 i = 0; i < count; i++) len += parts[i].len;
    char *at = take(1, len), *to = at;
    for (u32 i = 0; i < count; i++) for (u32 k = 0; k < parts[i].len; k++) *to++ = parts[i].at[k];
    return (text){ at, len };
}

#define JOINED(...) joined((const text[]){ __VA_ARGS__ }, sizeof((const text[]){ __VA_ARGS__ }) / sizeof(text))

#define EXPORT(name) __attribute__((export_name(name)))

EXPORT("cabi_realloc") void *cabi_realloc(void *old, u32 old_size, u32 align, u32 size) {
    u8 *at = take(align, size);
    for (u32 i = 0; i < old_size && i < size; i++) at[i] = ((u8 *)old)[i];
    return at;
}

static void answered(void) { arena = 0; }

EXPORT("layshaft:policy/meta@0.1.0#describe") description *export_describe(void) {
    static description result;
    describe(&result);
    return &result;
}

EXPORT("cabi_post_layshaft:policy/meta@0.1.0#describe") void post_describe(description *result) { (void)result; answered(); }

EXPORT("layshaft:policy/meta@0.1.0#configure") configured *export_configure(const char *at, u32 len) {
    static configured result;
    result = (configured){ 0 };
    configure((text){ at, len }, &result);
    return &result;
}

EXPORT("cabi_post_layshaft:policy/meta@0.1.0#configure") void post_configure(configured *result) { (void)result; answered(); }

EXPORT("layshaft:policy/matching@0.1.0#matches") verdict *export_matches(const question *asked) {
    static verdict result;
    result = (verdict){ 0 };
    matches(asked, &result);
    return &result;
}

EXPORT("cabi_post_layshaft:policy/matching@0.1.0#matches") void post_matches(verdict *result) { (void)result; answered(); }

#endif
