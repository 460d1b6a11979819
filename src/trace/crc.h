/* crc.h - CRC-32C (Castagnoli), eight bytes at a time by tables (Kounavis and Berry, "slicing by 8"). Any thread. */
#ifndef NEB_TRACE_CRC_H
#define NEB_TRACE_CRC_H

#include <stddef.h>
#include <stdint.h>

uint32_t neb_crc32c(const void *bytes, size_t count);

#endif
