/* JSON lines on stdout, flushed line by line. The judge's own protocol: nothing of a host's text reaches it unescaped. */
#include "judge.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool first;
static char closers[16];
static int depth;

static void quoted(const char *text, size_t length) {
  putchar('"');
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') printf("\\%c", c);
    else if (c == '\n') fputs("\\n", stdout);
    else if (c == '\t') fputs("\\t", stdout);
    else if (c < 0x20 || c >= 0x7f) printf("\\u%04x", c);
    else putchar(c);
  }
  putchar('"');
}

static void key_of(const char *key) {
  if (!first) putchar(',');
  first = false;
  if (key != NULL) {
    quoted(key, strlen(key));
    putchar(':');
  }
}

void out_begin(const char *event) {
  putchar('{');
  first = true;
  depth = 0;
  out_str("event", event);
}
void out_str(const char *key, const char *value) {
  key_of(key);
  quoted(value, strlen(value));
}
void out_bytes(const char *key, const char *value, size_t length) {
  key_of(key);
  quoted(value, length);
}
void out_num(const char *key, double value) {
  key_of(key);
  if (isfinite(value)) printf("%.17g", value);
  else fputs("null", stdout);
}
void out_int(const char *key, int64_t value) {
  key_of(key);
  printf("%lld", (long long)value);
}
void out_bool(const char *key, bool value) {
  key_of(key);
  fputs(value ? "true" : "false", stdout);
}
static void open_with(const char *key, char opener, char closer) {
  key_of(key);
  putchar(opener);
  closers[depth++] = closer;
  first = true;
}
void out_array(const char *key) { open_with(key, '[', ']'); }
void out_object(const char *key) { open_with(key, '{', '}'); }
void out_close(void) {
  putchar(closers[--depth]);
  first = false;
}
void out_end(void) {
  while (depth > 0) out_close();
  fputs("}\n", stdout);
  fflush(stdout);
}

void out_wrong(const struct workload *w, const struct difference *d, const char *code, const char *trial) {
  out_begin("wrong");
  out_str("workload", w->uuid);
  out_str("code", code);
  out_str("trial", trial);
  out_str("output", w->tensor[d->tensor].name);
  out_int("index", (int64_t)d->index);
  out_num("got", d->got);
  out_num("expected", d->expected);
  out_str("got_text", d->got_text);
  out_str("expected_text", d->expected_text);
  out_int("wrong_elements", (int64_t)d->wrong);
  out_int("elements", (int64_t)w->tensor[d->tensor].elements);
  out_num("error_over_tolerance", d->worst);
  out_end();
}

void die(const char *format, ...) {
  char message[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  while (depth > 0) out_close();
  if (!first) fputs("}\n", stdout);
  out_begin("error");
  out_str("message", message);
  out_end();
  kill_tree(0);
  exit(3);
}
