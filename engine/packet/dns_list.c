/* Block lists: names in one piece of memory, found by a table of their places. Two million names
 * take some 60 MiB, and are read once, at the start. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dns_room.h"

#define FIRST_SLOTS 4096

#define FNV_64 0x100000001b3ULL

int ww_dns_lists_create(struct ww_dns_lists **lists)
{
    *lists = ww_alloc(1, sizeof(**lists));
    return *lists ? 0 : WW_ENOMEM;
}

void ww_dns_lists_destroy(struct ww_dns_lists *lists)
{
    if (!lists)
        return;
    ww_free(lists->text);
    ww_free(lists->slots);
    ww_free(lists);
}

/* FNV-1a, 32 bits. Who writes a list may make this slow, for himself. */
static uint32_t hash_of(const char *name, size_t size)
{
    uint32_t hash = 2166136261U;

    for (size_t index = 0; index < size; index++)
        hash = (hash ^ (uint8_t)name[index]) * 16777619U;
    return hash;
}

/* Where the name is, or where it would be put. */
static uint32_t *slot_of(const struct ww_dns_lists *lists, const char *name, size_t size)
{
    size_t mask = lists->slot_count - 1, at = hash_of(name, size) & mask;

    while (lists->slots[at]) {
        const char *there = lists->text + lists->slots[at];
        if (strncmp(there, name, size) == 0 && there[size] == '\0')
            break;
        at = (at + 1) & mask;
    }
    return &lists->slots[at];
}

/* Twice as many slots, at most half of them used. */
static int grow_slots(struct ww_dns_lists *lists)
{
    struct ww_dns_lists grown = *lists;

    grown.slot_count = lists->slot_count ? lists->slot_count * 2 : FIRST_SLOTS;
    grown.slots = ww_alloc(grown.slot_count, sizeof(*grown.slots));
    if (!grown.slots)
        return WW_ENOMEM;
    for (size_t index = 0; index < lists->slot_count; index++) {
        const char *name = lists->text + lists->slots[index];
        if (lists->slots[index])
            *slot_of(&grown, name, strlen(name)) = lists->slots[index];
    }
    ww_free(lists->slots);
    *lists = grown;
    return 0;
}

static int grow_text(struct ww_dns_lists *lists, size_t size)
{
    size_t room = lists->text_room ? lists->text_room * 2 : 65536;

    if (lists->text_size + size <= lists->text_room)
        return 0;
    char *grown = ww_realloc(lists->text, room, 1);
    if (!grown)
        return WW_ENOMEM;
    lists->text = grown;
    lists->text_room = room;
    return 0;
}

static int add(struct ww_dns_lists *lists, const struct ww_target *name)
{
    char small[WW_NAME_BYTES_MAX + 1];
    size_t size = strlen(name->name);
    int rc = 0;

    if (lists->count >= WW_DNS_LISTED_MAX)
        return WW_ELIMIT;
    for (size_t index = 0; index <= size; index++)
        small[index] = name->name[index] >= 'A' && name->name[index] <= 'Z'
                           ? (char)(name->name[index] + 32)
                           : name->name[index];
    if (lists->count * 2 >= lists->slot_count)
        rc = grow_slots(lists);
    if (!rc)
        rc = grow_text(lists, size + 2);
    if (rc)
        return rc;
    uint32_t *slot = slot_of(lists, small, size);
    if (*slot)
        return 0;
    lists->text[lists->text_size] = (char)lists->list_count; /* this list's number, from 0 */
    memcpy(lists->text + lists->text_size + 1, small, size + 1);
    *slot = (uint32_t)lists->text_size + 1;
    lists->text_size += size + 2;
    lists->count++;
    lists->digest =
        (lists->digest ^ hash_of(small, size) ^ (uint64_t)lists->list_count << 32) * FNV_64;
    return 0;
}

/* Reads the next word of a line; false at its end. */
static bool next_word(const char **at, const char *end, const char **word, size_t *size)
{
    const char *from = *at;

    while (from < end && (*from == ' ' || *from == '\t' || *from == '\r'))
        from++;
    *word = from;
    while (from < end && *from != ' ' && *from != '\t' && *from != '\r' && *from != '#')
        from++;
    *size = (size_t)(from - *word);
    *at = from;
    return *size > 0;
}

/* Names that every hosts file begins with, and which are this host's. */
static bool is_own(const char *name)
{
    return !strchr(name, '.') || dns_is_within(name, "localhost") ||
           strcmp(name, "localhost.localdomain") == 0;
}

/* 1: something on it was no name. */
static int read_line(struct ww_dns_lists *lists, const char *at, const char *end)
{
    struct ww_target target;
    const char *word;
    uint8_t address[16];
    size_t size;
    bool is_v4, is_first = true, is_hosts = false;
    int skipped = 0, rc = 0;

    for (; next_word(&at, end, &word, &size); is_first = false) {
        if (is_first && ww_address_parse(word, size, address, &is_v4) == 0) {
            is_hosts = true;
            continue;
        }
        if (size > 2 && memcmp(word, "*.", 2) == 0) {
            word += 2;
            size -= 2;
        }
        if (size > 1 && word[size - 1] == '.')
            size--;
        if (ww_target_parse(word, size, 1, &target) || target.kind != WW_TARGET_NAME ||
            (!is_first && !is_hosts)) {
            skipped = 1;
            continue;
        }
        lists->seen++;
        if (is_own(target.name))
            continue;
        rc = add(lists, &target);
        if (rc)
            return rc;
    }
    return skipped;
}

int dns_lists_parse(struct ww_dns_lists *lists, const char *list, const char *text, size_t size,
                    size_t *skipped)
{
    const char *at = text, *end = text + size;

    *skipped = 0;
    if (lists->list_count >= WW_DNS_LISTS_MAX)
        return WW_ELIMIT;
    if (grow_text(lists, 2))
        return WW_ENOMEM;
    if (lists->text_size == 0)
        lists->text[lists->text_size++] = '\0'; /* place 0 means: a free slot */
    snprintf(lists->names[lists->list_count], WW_DNS_LIST_NAME_SIZE, "%s", list);
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            line_end = end;
        int rc = read_line(lists, at, line_end);
        if (rc < 0)
            return rc;
        *skipped += (size_t)rc;
        at = line_end + 1;
    }
    lists->list_count++;
    return 0;
}

/* The file's name without its folder and what is behind its first dot. */
static void name_of(const char *path, char name[WW_DNS_LIST_NAME_SIZE])
{
    const char *base = strrchr(path, '/');

    base = base ? base + 1 : path;
    snprintf(name, WW_DNS_LIST_NAME_SIZE, "%.*s", (int)strcspn(base, "."), base);
    if (!name[0])
        snprintf(name, WW_DNS_LIST_NAME_SIZE, "list");
}

/* All of a regular file. */
static int read_all(int fd, char **text, size_t *size)
{
    struct stat stat;
    ssize_t count = 0;

    if (fstat(fd, &stat))
        return WW_ESYSTEM;
    if (!S_ISREG(stat.st_mode))
        return WW_EINVAL;
    if (stat.st_size > WW_DNS_LIST_BYTES_MAX)
        return WW_ELIMIT;
    *text = ww_alloc(1, (size_t)stat.st_size + 1);
    if (!*text)
        return WW_ENOMEM;
    *size = 0;
    while (*size < (size_t)stat.st_size &&
           (count = read(fd, *text + *size, (size_t)stat.st_size - *size)) > 0)
        *size += (size_t)count;
    return count < 0 ? WW_ESYSTEM : 0;
}

int ww_dns_lists_add(struct ww_dns_lists *lists, const char *path, size_t *names, size_t *skipped)
{
    char name[WW_DNS_LIST_NAME_SIZE], *text = NULL;
    size_t size = 0, before = lists->count, seen = lists->seen;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return errno == ENOENT ? WW_ENOTFOUND : WW_ESYSTEM;
    int rc = read_all(fd, &text, &size);
    close(fd);
    name_of(path, name);
    if (!rc)
        rc = dns_lists_parse(lists, name, text, size, skipped);
    ww_free(text);
    *names = lists->count - before;
    if (!rc && *skipped > 0 && lists->seen == seen)
        return WW_EINVAL;
    return rc;
}

const char *dns_lists_find(const struct ww_dns_lists *lists, const char *name)
{
    while (lists && lists->count && *name) {
        const uint32_t *slot = slot_of(lists, name, strlen(name));
        if (*slot)
            return lists->names[(uint8_t)lists->text[*slot - 1]];
        name += strcspn(name, ".");
        if (*name)
            name++;
    }
    return "";
}
