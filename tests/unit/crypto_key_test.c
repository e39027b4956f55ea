/* Key files: what is written, what is refused and why, and the openssl command line's opinion.
 * Relies on a POSIX file system under /tmp. */
#include "crypto_scratch.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "ww/crypto.h"
#include "ww/limits.h"

static void test_save_and_load(void **state)
{
    const char *path = scratch_path("home/deep/key");
    struct ww_key *key = NULL, *again = NULL;
    struct ww_hash id, id_again;
    struct stat status;
    char why[128] = "";

    (void)state;
    assert_int_equal(ww_key_load(path, &again, why, sizeof(why)), WW_ENOTFOUND);
    assert_int_equal(ww_key_generate(&key), 0);
    assert_int_equal(ww_key_save(key, path), 0);
    assert_int_equal(ww_key_load(path, &again, why, sizeof(why)), 0);
    ww_key_node_id(key, &id);
    ww_key_node_id(again, &id_again);
    assert_true(ww_hash_equal(&id, &id_again));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(scratch_path("home/deep"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(stat(scratch_path("home"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(scratch_run("test $(ls home/deep | wc -l) = 1"), 0); /* no temporary file */
    ww_key_destroy(key);
    ww_key_destroy(again);
}

static void test_mode_ignores_umask(void **state)
{
    struct ww_key *key = NULL;
    struct stat status;
    mode_t before;

    (void)state;
    assert_int_equal(ww_key_generate(&key), 0);
    before = umask(0777);
    assert_int_equal(ww_key_save(key, scratch_path("key")), 0);
    umask(0);
    assert_int_equal(ww_key_save(key, scratch_path("key2")), 0);
    umask(before);
    assert_int_equal(stat(scratch_path("key"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(scratch_path("key2"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    ww_key_destroy(key);
}

static void test_save_never_replaces(void **state)
{
    struct ww_key *first = NULL, *second = NULL, *loaded = NULL;
    struct ww_hash id, loaded_id;

    (void)state;
    assert_int_equal(ww_key_generate(&first), 0);
    assert_int_equal(ww_key_generate(&second), 0);
    assert_int_equal(ww_key_save(first, scratch_path("key")), 0);
    assert_int_equal(ww_key_save(second, scratch_path("key")), WW_EEXIST);
    assert_int_equal(ww_key_load(scratch_path("key"), &loaded, NULL, 0), 0);
    ww_key_node_id(first, &id);
    ww_key_node_id(loaded, &loaded_id);
    assert_true(ww_hash_equal(&id, &loaded_id));
    /* A broken link is something of that name, and must not be followed. */
    assert_int_equal(symlink("nowhere", scratch_path("link")), 0);
    assert_int_equal(ww_key_save(second, scratch_path("link")), WW_EEXIST);
    assert_int_not_equal(access(scratch_path("nowhere"), F_OK), 0);
    assert_int_equal(scratch_run("test $(ls | grep -c tmp) = 0"), 0);
    /* A file where a folder must be. */
    assert_int_equal(ww_key_save(second, scratch_path("key/inside")), WW_EIO);
    assert_int_equal(ww_key_save(second, ""), WW_EINVAL);
    ww_key_destroy(first);
    ww_key_destroy(second);
    ww_key_destroy(loaded);
}

/* Loads `name` and expects WW_EKEYFILE with a sentence that contains `part`. */
static void expect_refusal(const char *name, const char *part)
{
    struct ww_key *key = NULL;
    char why[160] = "";

    assert_int_equal(ww_key_load(scratch_path(name), &key, why, sizeof(why)), WW_EKEYFILE);
    assert_null(key);
    assert_non_null(strstr(why, part));
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_open_files_are_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0777};
    struct ww_key *key = NULL;

    (void)state;
    assert_int_equal(ww_key_generate(&key), 0);
    assert_int_equal(ww_key_save(key, scratch_path("key")), 0);
    for (size_t index = 0; index < WW_ARRAY_COUNT(modes); index++) {
        assert_int_equal(chmod(scratch_path("key"), modes[index]), 0);
        expect_refusal("key", "chmod 600");
    }
    assert_int_equal(chmod(scratch_path("key"), 0400), 0);
    ww_key_destroy(key);
    assert_int_equal(ww_key_load(scratch_path("key"), &key, NULL, 0), 0);
    ww_key_destroy(key);
}

static void test_odd_files_are_refused(void **state)
{
    struct ww_key *key = NULL;

    (void)state;
    assert_int_equal(ww_key_generate(&key), 0);
    assert_int_equal(ww_key_save(key, scratch_path("key")), 0);
    assert_int_equal(symlink("key", scratch_path("link")), 0);
    expect_refusal("link", "symbolic link");
    assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
    expect_refusal("fifo", "regular file"); /* and it does not hang */
    assert_int_equal(mkdir(scratch_path("folder"), 0700), 0);
    expect_refusal("folder", "regular file");
    assert_int_equal(scratch_run("umask 077; : >empty; echo hello >text; "
                                 "head -c 16385 /dev/zero >large"),
                     0);
    expect_refusal("empty", "no readable private key");
    expect_refusal("text", "no readable private key");
    expect_refusal("large", "larger than");
    if (geteuid() == 0) {
        assert_int_equal(chown(scratch_path("key"), 65534, 65534), 0);
        expect_refusal("key", "belongs to user 65534");
    }
    ww_key_destroy(key);
}

/* Keys that the openssl command line made. */
static void test_foreign_keys(void **state)
{
    static const struct {
        const char *command, *part;
    } refused[] = {
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", "not an ECDSA P-256"},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
         "not an ECDSA P-256"},
        {"openssl genpkey -algorithm RSA", "not an ECDSA P-256"},
        {"openssl genpkey -algorithm ED25519", "not an ECDSA P-256"},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 "
         "-pkeyopt ec_param_enc:explicit",
         "not an ECDSA P-256"},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:x",
         "encrypted"},
        {"openssl ecparam -name prime256v1", "no readable private key"},
    };
    struct ww_key *key = NULL;
    char command[256];

    (void)state;
    assert_int_equal(scratch_run("umask 077; openssl genpkey -algorithm EC "
                                 "-pkeyopt ec_paramgen_curve:P-256 -out pkcs8"),
                     0);
    assert_int_equal(ww_key_load(scratch_path("pkcs8"), &key, NULL, 0), 0);
    ww_key_destroy(key);
    assert_int_equal(scratch_run("umask 077; openssl ecparam -name prime256v1 -genkey -out sec1"),
                     0);
    assert_int_equal(ww_key_load(scratch_path("sec1"), &key, NULL, 0), 0);
    ww_key_destroy(key);
    for (size_t index = 0; index < WW_ARRAY_COUNT(refused); index++) {
        snprintf(command, sizeof(command), "umask 077; rm -f bad; %s -out bad",
                 refused[index].command);
        assert_int_equal(scratch_run(command), 0);
        expect_refusal("bad", refused[index].part);
    }
}

static void test_mismatched_pair_is_refused(void **state)
{
    struct ww_key *key = NULL;
    uint8_t der[256];
    char text[512];
    size_t size;

    (void)state;
    /* SEC 1 DER of 121 bytes ends with the public point's 65: take another key's. */
    assert_int_equal(scratch_run("for n in 1 2; do openssl ecparam -name prime256v1 -genkey -noout "
                                 "-outform DER -out $n; done; umask 077; "
                                 "{ head -c 56 1; tail -c +57 2; } >mixed; echo "
                                 "-----BEGIN EC PRIVATE KEY----- >bad; base64 mixed >>bad; "
                                 "echo -----END EC PRIVATE KEY----- >>bad"),
                     0);
    size = scratch_read("mixed", der, sizeof(der));
    assert_int_equal(size, 121);
    expect_refusal("bad", "no readable private key");
    size = scratch_read("bad", text, sizeof(text));
    assert_int_equal(ww_key_parse(text, size, &key), WW_EMALFORMED);
}

static void test_openssl_reads_ours(void **state)
{
    struct ww_key *key = NULL;
    uint8_t ours[WW_PUBLIC_KEY_SIZE], theirs[WW_PUBLIC_KEY_SIZE + 1];

    (void)state;
    assert_int_equal(ww_key_generate(&key), 0);
    assert_int_equal(ww_key_save(key, scratch_path("key")), 0);
    assert_int_equal(scratch_run("head -1 key | grep -q 'BEGIN PRIVATE KEY' && "
                                 "openssl pkey -in key -check -noout && "
                                 "openssl pkey -in key -pubout -outform DER -out spki"),
                     0);
    assert_int_equal(scratch_read("spki", theirs, sizeof(theirs)), WW_PUBLIC_KEY_SIZE);
    ww_key_public(key, ours);
    assert_memory_equal(ours, theirs, WW_PUBLIC_KEY_SIZE);
    ww_key_destroy(key);
}

static void test_public_key(void **state)
{
    struct ww_public_key *public_key = NULL;
    struct ww_key *key = NULL;
    struct ww_hash id, public_id, hashed;
    uint8_t spki[WW_PUBLIC_KEY_SIZE + 1];
    size_t accepted = 0;

    (void)state;
    assert_int_equal(ww_key_generate(&key), 0);
    ww_key_public(key, spki);
    assert_int_equal(ww_public_key_parse(spki, WW_PUBLIC_KEY_SIZE, &public_key), 0);
    ww_key_node_id(key, &id);
    ww_public_key_node_id(public_key, &public_id);
    ww_sha256(spki, WW_PUBLIC_KEY_SIZE, &hashed);
    assert_true(ww_hash_equal(&id, &public_id));
    assert_true(ww_hash_equal(&id, &hashed));
    ww_public_key_destroy(public_key);
    for (size_t size = 0; size <= sizeof(spki); size++) {
        if (size != WW_PUBLIC_KEY_SIZE)
            assert_int_equal(ww_public_key_parse(spki, size, &public_key), WW_EMALFORMED);
    }
    /* Any changed bit leaves the encoding or the curve. */
    for (size_t bit = 0; bit < 8 * WW_PUBLIC_KEY_SIZE; bit++) {
        spki[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (ww_public_key_parse(spki, WW_PUBLIC_KEY_SIZE, &public_key) == 0) {
            ww_public_key_destroy(public_key);
            accepted++;
        }
        spki[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(accepted, 0);
    assert_int_equal(ERR_peek_error(), 0);
    ww_key_destroy(key);
}

static void test_destroy_nothing(void **state)
{
    (void)state;
    ww_key_destroy(NULL);
    ww_public_key_destroy(NULL);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        WITH_SCRATCH(test_save_and_load),
        WITH_SCRATCH(test_mode_ignores_umask),
        WITH_SCRATCH(test_save_never_replaces),
        WITH_SCRATCH(test_open_files_are_refused),
        WITH_SCRATCH(test_odd_files_are_refused),
        WITH_SCRATCH(test_foreign_keys),
        WITH_SCRATCH(test_mismatched_pair_is_refused),
        WITH_SCRATCH(test_openssl_reads_ours),
        cmocka_unit_test(test_public_key),
        cmocka_unit_test(test_destroy_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
