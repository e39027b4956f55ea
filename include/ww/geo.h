/* Where an address is: country and network, from files of MaxMind's format that the user has. The
 * files are mapped; a look-up costs about a microsecond and is done once for each flow. Thread: any
 * one at a time. */
#pragma once

#include "ww/base.h"
#include "ww/limits.h"

struct ww_geo;

struct ww_place {
    char country[3];  /* two capital letters of ISO 3166, or "" */
    uint32_t network; /* number of the autonomous system; 0: unknown */
};

/* An empty set of files. WW_ENOMEM. */
int ww_geo_create(struct ww_geo **geo);
/* NULL is fine. */
void ww_geo_destroy(struct ww_geo *geo);
/* Adds a file: of countries, cities (their country counts) or networks; what an earlier file knows
 * stays. WW_ENOTFOUND: there is none; WW_ECORRUPT: it is no such file; WW_ELIMIT after
 * WW_GEO_FILES_MAX; WW_ENOMEM. */
int ww_geo_add(struct ww_geo *geo, const char *path);
/* 16 bytes, IPv4 mapped. What isn't known is empty. geo NULL: nothing is. */
void ww_geo_find(const struct ww_geo *geo, const uint8_t address[16], struct ww_place *place);
