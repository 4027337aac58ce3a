#ifndef KE_FILL_H
#define KE_FILL_H
#include "judge.h"
/* Whether the tensor's values carry no structure: any of them may be replaced by another of the same fill. */
bool fill_is_free(const struct tensor *t);
/* Elements [from, to) of a free tensor into `out`. */
void fill_range(void *out, const struct tensor *t, uint64_t key, uint64_t from, uint64_t to);
static inline uint64_t tensor_key(uint64_t seed, uint32_t tensor) { return derive(seed, 0x7e4501, tensor); }
#endif
