/* Places of addresses, from a file that is written here as MaxMind's format has it, and from files
 * that are none: cut anywhere, or with any byte changed, nothing happens but that less is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ww/address.h"
#include "ww/geo.h"

/* Of the sanitizer, where there is one. */
__attribute__((weak)) void __lsan_disable(void);
__attribute__((weak)) void __lsan_enable(void);

static char folder[] = "/tmp/ww-geo-XXXXXX";

struct writer {
    uint8_t bytes[4096];
    size_t size;
};

static void put(struct writer *writer, const void *bytes, size_t size)
{
    memcpy(writer->bytes + writer->size, bytes, size);
    writer->size += size;
}

static void put_text(struct writer *writer, const char *text)
{
    uint8_t head = (uint8_t)(2 << 5 | strlen(text));
    put(writer, &head, 1);
    put(writer, text, strlen(text));
}

/* type 5: 16 bits, 6: 32 bits */
static void put_number(struct writer *writer, int type, uint32_t value)
{
    uint8_t bytes[3] = {(uint8_t)(type << 5 | 2), (uint8_t)(value >> 8), (uint8_t)value};
    put(writer, bytes, 3);
}

static void put_pair(struct writer *writer, const char *name, int type, uint32_t value)
{
    put_text(writer, name);
    put_number(writer, type, value);
}

/* One tree of 24-bit records: the bits of `address` lead to one record, every other way to none. */
static size_t write_file(const char *path, const uint8_t *address, unsigned bits, bool is_v6)
{
    struct writer writer = {.size = 0};
    for (unsigned bit = 0; bit < bits; bit++) {
        uint32_t ahead = bit + 1 < bits ? bit + 1 : bits + 16; /* the first record */
        bool is_one = address[bit / 8] & 0x80 >> bit % 8;
        uint32_t left = is_one ? bits : ahead, right = is_one ? ahead : bits;
        uint8_t node[6] = {(uint8_t)(left >> 16),  (uint8_t)(left >> 8),  (uint8_t)left,
                           (uint8_t)(right >> 16), (uint8_t)(right >> 8), (uint8_t)right};
        put(&writer, node, 6);
    }
    put(&writer, (uint8_t[16]){0}, 16);
    put(&writer, "\xe2", 1); /* a map of two */
    put_text(&writer, "country");
    put(&writer, "\xe1", 1);
    put_text(&writer, "iso_code");
    put_text(&writer, "IS");
    put_text(&writer, "autonomous_system_number");
    put_number(&writer, 6, 64500);
    put(&writer, "\xab\xcd\xefMaxMind.com", 14);
    put(&writer, "\xe9", 1);
    put_pair(&writer, "node_count", 6, bits);
    put_pair(&writer, "record_size", 5, 24);
    put_pair(&writer, "ip_version", 5, is_v6 ? 6 : 4);
    put_pair(&writer, "binary_format_major_version", 5, 2);
    put_pair(&writer, "binary_format_minor_version", 5, 0);
    put_text(&writer, "database_type");
    put_text(&writer, "Test");
    put_text(&writer, "languages");
    put(&writer, "\x01\x04", 2); /* a list of one */
    put_text(&writer, "en");
    put_text(&writer, "build_epoch");
    put(&writer, "\x01\x02\x01", 3); /* 1, of 64 bits */
    put_text(&writer, "description");
    put(&writer, "\xe1", 1);
    put_text(&writer, "en");
    put_text(&writer, "Test");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(writer.bytes, 1, writer.size, file), writer.size);
    fclose(file);
    return writer.size;
}

static void find(struct ww_geo *geo, const char *text, struct ww_place *place)
{
    uint8_t address[16];
    bool is_v4;
    assert_int_equal(ww_address_parse(text, strlen(text), address, &is_v4), 0);
    ww_geo_find(geo, address, place);
}

static const uint8_t NET4[4] = {8, 8, 0, 0}, NET6[16] = {0x2a, 1, 2};

static void places_are_found(void **state)
{
    struct ww_geo *geo = NULL;
    struct ww_place place;
    char path[64];

    (void)state;
    snprintf(path, sizeof(path), "%s/a.mmdb", folder);
    assert_int_equal(ww_geo_create(&geo), 0);
    assert_int_equal(ww_geo_add(geo, path), WW_ENOTFOUND);
    write_file(path, NET4, 16, false);
    assert_int_equal(ww_geo_add(geo, path), 0);
    find(geo, "8.8.4.4", &place);
    assert_string_equal(place.country, "IS");
    assert_int_equal(place.network, 64500);
    find(geo, "8.9.4.4", &place);
    assert_string_equal(place.country, "");
    assert_int_equal(place.network, 0);
    find(geo, "2a01:200::1", &place); /* in a file of IPv4 only */
    assert_string_equal(place.country, "");
    snprintf(path, sizeof(path), "%s/b.mmdb", folder);
    write_file(path, NET6, 24, true);
    assert_int_equal(ww_geo_add(geo, path), 0);
    find(geo, "2a01:200::1", &place);
    assert_string_equal(place.country, "IS");
    assert_int_equal(ww_geo_add(geo, path), 0);
    assert_int_equal(ww_geo_add(geo, path), 0);
    assert_int_equal(ww_geo_add(geo, path), WW_ELIMIT);
    ww_geo_destroy(geo);
    find(NULL, "8.8.4.4", &place);
    assert_string_equal(place.country, "");
}

/* libmaxminddb 1.7 loses a list of some 5 KB (MMDB_get_entry_data_list gives one with its errors,
 * too, which MMDB_open then forgets) if the languages or the description of a file are broken. A
 * node that is given such a file doesn't start. All else of the library's is given back. */
static int add_broken(struct ww_geo *geo, const char *path)
{
    if (__lsan_disable)
        __lsan_disable();
    int rc = ww_geo_add(geo, path);
    if (__lsan_enable)
        __lsan_enable();
    return rc;
}

static void broken_files_are_refused(void **state)
{
    uint8_t bytes[4096];
    struct ww_place place;
    char path[64];

    (void)state;
    snprintf(path, sizeof(path), "%s/c.mmdb", folder);
    size_t size = write_file(path, NET4, 16, false);
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(bytes, 1, sizeof(bytes), file), size);
    fclose(file);
    for (size_t i = 0; i < 2 * size; i++) {
        struct ww_geo *geo = NULL;
        assert_int_equal(ww_geo_create(&geo), 0);
        file = fopen(path, "wb");
        bytes[i / 2] ^= 0xff;
        fwrite(bytes, 1, i % 2 ? size : i / 2, file);
        bytes[i / 2] ^= 0xff;
        fclose(file);
        if (add_broken(geo, path) == 0)
            find(geo, "8.8.4.4", &place);
        ww_geo_destroy(geo);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_found),
        cmocka_unit_test(broken_files_are_refused),
    };
    if (!mkdtemp(folder))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (const char *name = "abc"; *name; name++) {
        char path[64];
        snprintf(path, sizeof(path), "%s/%c.mmdb", folder, *name);
        unlink(path);
    }
    rmdir(folder);
    return failed;
}
