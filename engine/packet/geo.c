/* Places of addresses: see ww/geo.h. Relies on libmaxminddb, which bounds what it reads. Text from
 * a file is taken only if it is a country's code. */
#include "ww/geo.h"

#include <netinet/in.h>
#include <string.h>

#include <maxminddb.h>

struct ww_geo {
    MMDB_s files[WW_GEO_FILES_MAX];
    size_t count;
};

int ww_geo_create(struct ww_geo **geo)
{
    *geo = ww_alloc(1, sizeof(**geo));
    return *geo ? 0 : WW_ENOMEM;
}

void ww_geo_destroy(struct ww_geo *geo)
{
    if (!geo)
        return;
    for (size_t i = 0; i < geo->count; i++)
        MMDB_close(&geo->files[i]);
    ww_free(geo);
}

int ww_geo_add(struct ww_geo *geo, const char *path)
{
    if (geo->count >= WW_GEO_FILES_MAX)
        return WW_ELIMIT;
    int rc = MMDB_open(path, MMDB_MODE_MMAP, &geo->files[geo->count]);
    if (rc == MMDB_FILE_OPEN_ERROR)
        return WW_ENOTFOUND;
    if (rc == MMDB_OUT_OF_MEMORY_ERROR)
        return WW_ENOMEM;
    if (rc != MMDB_SUCCESS)
        return WW_ECORRUPT;
    geo->count++;
    return 0;
}

static void read_place(MMDB_entry_s *entry, struct ww_place *place)
{
    MMDB_entry_data_s data;

    if (!place->country[0] &&
        MMDB_get_value(entry, &data, "country", "iso_code", NULL) == MMDB_SUCCESS &&
        data.has_data && data.type == MMDB_DATA_TYPE_UTF8_STRING && data.data_size == 2 &&
        data.utf8_string[0] >= 'A' && data.utf8_string[0] <= 'Z' && data.utf8_string[1] >= 'A' &&
        data.utf8_string[1] <= 'Z')
        memcpy(place->country, data.utf8_string, 2);
    if (place->network == 0 &&
        MMDB_get_value(entry, &data, "autonomous_system_number", NULL) == MMDB_SUCCESS &&
        data.has_data && data.type == MMDB_DATA_TYPE_UINT32)
        place->network = data.uint32;
}

void ww_geo_find(const struct ww_geo *geo, const uint8_t address[16], struct ww_place *place)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_v4 = memcmp(address, mapped, sizeof(mapped)) == 0;
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};

    memset(place, 0, sizeof(*place));
    memcpy(&four.sin_addr, address + 12, 4);
    memcpy(&six.sin6_addr, address, 16);
    for (size_t i = 0; geo && i < geo->count; i++) {
        int rc = MMDB_SUCCESS;
        MMDB_lookup_result_s found = MMDB_lookup_sockaddr(
            &geo->files[i], is_v4 ? (const struct sockaddr *)&four : (const struct sockaddr *)&six,
            &rc);
        if (rc == MMDB_SUCCESS && found.found_entry)
            read_place(&found.entry, place);
    }
}
