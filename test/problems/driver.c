/* Calls ke_entry of a shared object on buffers from a file, in one width of floats, and writes the outputs back.
 * usage: driver LIBRARY JOB INPUTS OUTPUTS
 * JOB is lines: "call", then "in TYPE COUNT" and "out TYPE COUNT" and "axis VALUE"; "run" ends a call. TYPE is f32 f64 f80 i32 i64 u8.
 * INPUTS and OUTPUTS hold every value as a double. Prints the nanoseconds of each call. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 32 };
struct buffer {
  char type[8];
  long count;
  int output;
  void *data;
};

static void stop(const char *what) {
  fprintf(stderr, "driver: %s\n", what);
  exit(1);
}

static size_t width(const char *type) {
  if (strcmp(type, "f80") == 0) return sizeof(long double);
  if (strcmp(type, "f64") == 0 || strcmp(type, "i64") == 0) return 8;
  return strcmp(type, "u8") == 0 ? 1 : 4;
}

static void put(struct buffer *b, long i, double v) {
  if (strcmp(b->type, "f32") == 0) ((float *)b->data)[i] = (float)v;
  else if (strcmp(b->type, "f64") == 0) ((double *)b->data)[i] = v;
  else if (strcmp(b->type, "f80") == 0) ((long double *)b->data)[i] = v;
  else if (strcmp(b->type, "i32") == 0) ((int32_t *)b->data)[i] = (int32_t)v;
  else if (strcmp(b->type, "i64") == 0) ((int64_t *)b->data)[i] = (int64_t)v;
  else ((uint8_t *)b->data)[i] = (uint8_t)v;
}

static double get(const struct buffer *b, long i) {
  if (strcmp(b->type, "f32") == 0) return ((float *)b->data)[i];
  if (strcmp(b->type, "f64") == 0) return ((double *)b->data)[i];
  if (strcmp(b->type, "f80") == 0) return (double)((long double *)b->data)[i];
  if (strcmp(b->type, "i32") == 0) return ((int32_t *)b->data)[i];
  if (strcmp(b->type, "i64") == 0) return (double)((int64_t *)b->data)[i];
  return ((uint8_t *)b->data)[i];
}

int main(int argc, char **argv) {
  if (argc != 5) stop("usage: driver LIBRARY JOB INPUTS OUTPUTS");
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) stop(dlerror());
  void (*entry)(void *const *, const int64_t *);
  *(void **)&entry = dlsym(library, "ke_entry");
  FILE *job = fopen(argv[2], "r"), *in = fopen(argv[3], "rb"), *out = fopen(argv[4], "wb");
  if (entry == NULL || job == NULL || in == NULL || out == NULL) stop("cannot open");
  struct buffer buffers[MOST];
  int64_t axes[MOST] = {0};
  int n = 0, dims = 0;
  char word[16];
  while (fscanf(job, "%15s", word) == 1) {
    if (strcmp(word, "call") == 0) {
      n = dims = 0;
    } else if (strcmp(word, "axis") == 0) {
      long v;
      if (dims == MOST || fscanf(job, "%ld", &v) != 1) stop("axis");
      axes[dims++] = v;
    } else if (strcmp(word, "run") == 0) {
      void *pointers[MOST];
      for (int i = 0; i < n; i++) pointers[i] = buffers[i].data;
      struct timespec a, b;
      clock_gettime(CLOCK_MONOTONIC, &a);
      entry(pointers, axes);
      clock_gettime(CLOCK_MONOTONIC, &b);
      printf("%lld\n", (long long)(b.tv_sec - a.tv_sec) * 1000000000 + (b.tv_nsec - a.tv_nsec));
      for (int i = 0; i < n; i++) {
        for (long k = 0; buffers[i].output && k < buffers[i].count; k++) {
          double v = get(&buffers[i], k);
          fwrite(&v, sizeof v, 1, out);
        }
        free(buffers[i].data);
      }
    } else {
      struct buffer *b = &buffers[n++];
      if (n > MOST || fscanf(job, "%7s %ld", b->type, &b->count) != 2) stop("tensor");
      b->output = strcmp(word, "out") == 0;
      size_t bytes = width(b->type) * (size_t)b->count;
      b->data = aligned_alloc(64, (bytes / 64 + 1) * 64);
      if (b->data == NULL) stop("memory");
      memset(b->data, 0x7f, (bytes / 64 + 1) * 64); /* an output left alone is no plausible number */
      for (long k = 0; !b->output && k < b->count; k++) {
        double v;
        if (fread(&v, sizeof v, 1, in) != 1) stop("inputs end early");
        put(b, k, v);
      }
    }
  }
  return fclose(out) == 0 ? 0 : 1;
}
