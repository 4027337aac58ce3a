#ifndef KE_CONFINE_H
#define KE_CONFINE_H
#include "protocol.h"
/* Limits this process for good, before it loads untrusted code. Fills `bits` with what holds. Returns 0, or -1 with a message on stderr. */
int ke_confine(const struct ke_plan *plan, uint32_t *bits);
#endif
