/* {{name}}: keeps projects with a certain ending off nodes with a certain label.
 *
 * What is asked and answered is in wit/policy.wit. A verdict follows from the question and the settings alone: keep nothing
 * between calls but the settings. */
#include "layshaft.h"

enum { LONGEST = 200 };

typedef struct { char at[LONGEST]; u32 len; } setting;

static setting label = { "gpu", 3 }, ending = { "-docs", 5 };

static text shown(const setting *setting) { return (text){ setting->at, setting->len }; }

static void describe(description *self) {
    self->name = TEXT("{{name}}");
    self->version = TEXT("0.1.0");
    self->summary = TEXT("Keeps projects with a certain ending off nodes with a certain label.");
    self->needs = (needs){ .project = 1 };
}

/* Takes the next text out of JSON, from one quote to the other. */
static int next(text *json, text *found) {
    while (json->len && *json->at != '"') json->at++, json->len--;
    if (!json->len) return 0;
    found->at = json->at + 1;
    found->len = 0;
    for (json->at++, json->len--; json->len && *json->at != '"'; json->at++, json->len--) found->len++;
    if (!json->len) return 0;
    json->at++, json->len--;
    return 1;
}

/* Settings come as a JSON object; these are texts without escapes. An error refuses the policy, and the operator reads it. */
static void configure(text settings, configured *result) {
    text name, value;
    while (next(&settings, &name)) {
        setting *into = same(name, TEXT("label")) ? &label : same(name, TEXT("ending")) ? &ending : 0;
        if (!into) {
            *result = (configured){ 1, JOINED(TEXT("settings has no "), name, TEXT("; it takes label, ending")) };
            return;
        }
        if (!(settings.len > 1 && settings.at[0] == ':' && settings.at[1] == '"') || !next(&settings, &value) || !value.len ||
            value.len > LONGEST) {
            *result = (configured){ 1, JOINED(TEXT("settings."), name, TEXT(" is a text of 1 to 200 bytes")) };
            return;
        }
        for (u32 i = 0; i < value.len; i++) {
            if (value.at[i] == '\\') {
                *result = (configured){ 1, JOINED(TEXT("settings."), name, TEXT(" has a backslash or a quote")) };
                return;
            }
            into->at[i] = value.at[i];
        }
        into->len = value.len;
    }
}

static int ends(text whole, text end) {
    return whole.len >= end.len && same((text){ whole.at + whole.len - end.len, end.len }, end);
}

static void matches(const question *question, verdict *verdict) {
    int is_meant = question->project.is_some && ends(question->project.value.short_name, shown(&ending));
    if (is_meant && holds(question->node.labels, shown(&label))) {
        verdict->answer = VETO;
        verdict->reason = JOINED(TEXT("projects ending in "), shown(&ending), TEXT(" keep off "), shown(&label));
    } else {
        verdict->answer = ABSTAIN;
        verdict->reason = TEXT("nothing against it");
    }
}
