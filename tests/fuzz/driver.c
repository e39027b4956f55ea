/* Runs a fuzz target without libFuzzer: every file of the corpus folders given as arguments, then
 * mutated inputs from a fixed seed, so that each run is the same. Relies on the target alone; a
 * crash of the target is the failure, and the input that caused it is written to a file before. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Only there when the target is built with a sanitizer. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

#define RUN_COUNT     20000
#define INPUT_BYTES   65536
#define SEED_COUNT    1024
#define INPUT_SECONDS 10 /* one input that takes longer is a hang */
#define CRASH_FILE    "fuzz-crash.bin"

struct input {
    uint8_t *data;
    size_t size;
};

static struct input seeds[SEED_COUNT];
static size_t seed_count;
static uint64_t random_state = 0x2545f4914f6cdd1dULL;
static struct input current; /* what the target is running on */

/* xorshift64*: the driver stands alone, so that a target may link any set of rooms. */
static uint64_t random_next(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1dULL;
}

static size_t random_below(size_t bound)
{
    return bound ? (size_t)(random_next() % bound) : 0;
}

static void keep_input(void)
{
    int fd = open(CRASH_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd >= 0) {
        ssize_t written = write(fd, current.data, current.size);

        (void)written;
        close(fd);
    }
}

static void keep_crash(int signal_number)
{
    keep_input();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* A sanitizer reports the fatal signals itself, and better. */
static void watch_crashes(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

    signal(SIGABRT, keep_crash);
    signal(SIGALRM, keep_crash);
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(keep_input);
        return;
    }
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        signal(fatal[i], keep_crash);
}

static void run(const uint8_t *data, size_t size)
{
    /* A copy of exactly this size lets AddressSanitizer see a read one past the end. */
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    current = (struct input){copy, size};
    alarm(INPUT_SECONDS);
    LLVMFuzzerTestOneInput(copy, size);
    current = (struct input){NULL, 0};
    free(copy);
}

static void add_seed(const char *path)
{
    static uint8_t buffer[INPUT_BYTES];
    struct stat status;
    FILE *file;
    size_t size;

    if (seed_count == SEED_COUNT || stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size = fread(buffer, 1, sizeof(buffer), file);
    fclose(file);
    seeds[seed_count].data = malloc(size ? size : 1);
    if (!seeds[seed_count].data)
        abort();
    memcpy(seeds[seed_count].data, buffer, size);
    seeds[seed_count].size = size;
    seed_count++;
}

static void add_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        char path[4096];

        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        add_seed(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void flip_bit(struct input *input)
{
    if (input->size)
        input->data[random_below(input->size)] ^= (uint8_t)(1 << random_below(8));
}

static void set_byte(struct input *input)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff};

    if (input->size)
        input->data[random_below(input->size)] = edges[random_below(sizeof(edges))];
}

static void truncate_tail(struct input *input)
{
    input->size = random_below(input->size + 1);
}

static void insert_bytes(struct input *input)
{
    size_t count = 1 + random_below(16);
    size_t at = random_below(input->size + 1);

    if (input->size + count > INPUT_BYTES)
        return;
    memmove(input->data + at + count, input->data + at, input->size - at);
    for (size_t i = 0; i < count; i++)
        input->data[at + i] = (uint8_t)random_next();
    input->size += count;
}

/* The head of this input and the tail of another seed. */
static void splice_seeds(struct input *input)
{
    const struct input *other;
    size_t from;
    size_t at = random_below(input->size + 1);
    size_t count;

    if (!seed_count)
        return;
    other = &seeds[random_below(seed_count)];
    from = random_below(other->size + 1);
    count = other->size - from;
    if (at + count > INPUT_BYTES)
        return;
    memcpy(input->data + at, other->data + from, count);
    input->size = at + count;
}

static void fill_randomly(struct input *input)
{
    input->size = random_below(random_below(8) ? 64 : 2048);
    for (size_t i = 0; i < input->size; i++)
        input->data[i] = (uint8_t)random_next();
}

static void mutate(struct input *input)
{
    static void (*const mutations[])(struct input *) = {
        flip_bit, flip_bit, set_byte, set_byte, truncate_tail, insert_bytes, splice_seeds,
    };
    size_t count = 1 + random_below(6);
    const struct input *seed;

    if (!seed_count || random_below(10) == 0) {
        fill_randomly(input);
        return;
    }
    seed = &seeds[random_below(seed_count)];
    memcpy(input->data, seed->data, seed->size);
    input->size = seed->size;
    for (size_t i = 0; i < count; i++)
        mutations[random_below(sizeof(mutations) / sizeof(mutations[0]))](input);
}

int main(int argument_count, char **arguments)
{
    static uint8_t buffer[INPUT_BYTES];
    struct input input = {buffer, 0};

    watch_crashes();
    for (int i = 1; i < argument_count; i++)
        add_folder(arguments[i]);

    run(buffer, 0);
    for (size_t i = 0; i < seed_count; i++)
        run(seeds[i].data, seeds[i].size);
    for (int i = 0; i < RUN_COUNT; i++) {
        mutate(&input);
        run(input.data, input.size);
    }
    printf("%zu corpus files and %d mutated inputs, no crash\n", seed_count, RUN_COUNT);
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].data);
    return 0;
}
