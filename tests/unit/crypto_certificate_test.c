/* Certificates: a node's own, the arbiter's authority, when they are renewed, pins.
 * Relies on the openssl command line to judge chains. */
#include "crypto_scratch.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "ww/crypto.h"
#include "ww/limits.h"

static const char *const hosts[] = {"arbiter.example", "127.0.0.1", "::1", NULL};
static const char *const more_hosts[] = {"arbiter.example", "127.0.0.1", "::1", "new.example",
                                         NULL};

static void test_self(void **state)
{
    char name[128], id_text[WW_HASH_TEXT_SIZE];
    struct ww_hash id, certificate_id;
    struct ww_key *key = NULL;
    X509 *first = NULL, *second = NULL;

    (void)state;
    assert_int_equal(ww_key_generate(&key), 0);
    assert_int_equal(ww_certificate_self(key, &first), 0);
    assert_int_equal(ww_certificate_self(key, &second), 0);
    ww_key_node_id(key, &id);
    assert_int_equal(ww_certificate_node_id(first, &certificate_id), 0);
    assert_true(ww_hash_equal(&id, &certificate_id));
    assert_int_equal(X509_verify(first, ww_key_evp(key)), 1);
    assert_int_equal(X509_check_private_key(first, ww_key_evp(key)), 1);
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(first), NID_commonName, name,
                                          sizeof(name)) > 0);
    assert_string_equal(name, ww_hash_format(&id, id_text));
    assert_true(X509_cmp_current_time(X509_get0_notBefore(first)) < 0);
    assert_true(X509_cmp_current_time(X509_get0_notAfter(first)) > 0);
    assert_int_not_equal(
        ASN1_INTEGER_cmp(X509_get0_serialNumber(first), X509_get0_serialNumber(second)), 0);
    X509_free(first);
    X509_free(second);
    ww_key_destroy(key);
}

static void test_node_id_of_other_keys(void **state)
{
    EVP_PKEY *p384 = EVP_EC_gen("P-384");
    X509 *certificate = X509_new();
    struct ww_hash id;

    (void)state;
    assert_int_equal(ww_certificate_node_id(certificate, &id), WW_EUNSUPPORTED);
    assert_int_equal(X509_set_pubkey(certificate, p384), 1);
    assert_int_equal(ww_certificate_node_id(certificate, &id), WW_EUNSUPPORTED);
    assert_int_equal(ERR_peek_error(), 0);
    X509_free(certificate);
    EVP_PKEY_free(p384);
}

static void expect_authority(const char *const *use_hosts, struct ww_hash *pin)
{
    assert_int_equal(ww_certificate_authority(scratch_path("tls"), use_hosts, pin), 0);
    assert_int_equal(ERR_peek_error(), 0);
}

/* A digest of one file, to see whether it changed. */
static struct ww_hash fingerprint(const char *name)
{
    uint8_t content[16384];
    char path[64];
    struct ww_hash hash;

    snprintf(path, sizeof(path), "tls/%s", name);
    ww_sha256(content, scratch_read(path, content, sizeof(content)), &hash);
    return hash;
}

static bool changed(const char *name, struct ww_hash before)
{
    struct ww_hash now = fingerprint(name);

    return !ww_hash_equal(&before, &now);
}

static void test_authority_chain(void **state)
{
    struct ww_hash pin, file_pin;
    struct stat status;

    (void)state;
    expect_authority(hosts, &pin);
    assert_int_equal(scratch_run("openssl verify -x509_strict -purpose sslserver -CAfile "
                                 "tls/ca.pem tls/server.pem"),
                     0);
    assert_int_equal(scratch_run("openssl verify -CAfile tls/ca.pem -verify_hostname "
                                 "arbiter.example tls/server.pem && openssl verify -CAfile "
                                 "tls/ca.pem -verify_ip 127.0.0.1 tls/server.pem && openssl verify "
                                 "-CAfile tls/ca.pem -verify_ip ::1 tls/server.pem"),
                     0);
    assert_int_not_equal(scratch_run("openssl verify -CAfile tls/ca.pem -verify_hostname "
                                     "other.example tls/server.pem"),
                         0);
    assert_int_not_equal(scratch_run("openssl verify -purpose sslclient -CAfile tls/ca.pem "
                                     "tls/server.pem"),
                         0);
    assert_int_equal(scratch_run("test $(grep -c BEGIN tls/server.pem) = 2"), 0);
    assert_int_equal(stat(scratch_path("tls/ca.key"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(scratch_path("tls/server.key"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(scratch_path("tls"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(ww_certificate_pin(scratch_path("tls/ca.pem"), &file_pin), 0);
    assert_true(ww_hash_equal(&pin, &file_pin));
    assert_int_equal(ww_certificate_pin(scratch_path("tls/server.pem"), &file_pin), 0);
    assert_true(ww_hash_equal(&pin, &file_pin));
}

static void test_pin_as_openssl_has_it(void **state)
{
    uint8_t theirs[33];
    struct ww_hash pin;

    (void)state;
    expect_authority(hosts, &pin);
    assert_int_equal(scratch_run("openssl x509 -in tls/ca.pem -noout -pubkey | openssl pkey -pubin "
                                 "-outform DER | openssl dgst -sha256 -binary >pin"),
                     0);
    assert_int_equal(scratch_read("pin", theirs, sizeof(theirs)), 32);
    assert_memory_equal(pin.bytes, theirs, 32);
}

static void test_second_start_changes_nothing(void **state)
{
    static const char *const names[] = {"ca.key", "ca.pem", "server.key", "server.pem"};
    struct ww_hash before[WW_ARRAY_COUNT(names)], pin, pin_again;

    (void)state;
    expect_authority(hosts, &pin);
    for (size_t index = 0; index < WW_ARRAY_COUNT(names); index++)
        before[index] = fingerprint(names[index]);
    expect_authority(hosts, &pin_again);
    assert_true(ww_hash_equal(&pin, &pin_again));
    for (size_t index = 0; index < WW_ARRAY_COUNT(names); index++)
        assert_false(changed(names[index], before[index]));
}

static void test_new_host_renews_server_only(void **state)
{
    struct ww_hash pin, pin_again, ca, server;

    (void)state;
    expect_authority(hosts, &pin);
    ca = fingerprint("ca.pem");
    server = fingerprint("server.pem");
    expect_authority(more_hosts, &pin_again);
    assert_true(ww_hash_equal(&pin, &pin_again));
    assert_false(changed("ca.pem", ca));
    assert_true(changed("server.pem", server));
    assert_int_equal(scratch_run("openssl verify -CAfile tls/ca.pem -verify_hostname new.example "
                                 "tls/server.pem"),
                     0);
    /* Fewer hosts than the certificate has are fine. */
    server = fingerprint("server.pem");
    expect_authority(hosts, &pin_again);
    assert_false(changed("server.pem", server));
}

/* Puts a server certificate in place that ends after so many days. */
static void shorten(int days)
{
    char command[600];

    snprintf(command, sizeof(command),
             "cd tls && openssl x509 -in server.pem -x509toreq -signkey server.key "
             "-copy_extensions copyall -out req && openssl x509 -req -in req -CA ca.pem -CAkey "
             "ca.key -days %d -copy_extensions copyall -out leaf && cat leaf ca.pem >server.pem && "
             "rm leaf req",
             days);
    assert_int_equal(scratch_run(command), 0);
}

static void test_expiry_renews(void **state)
{
    struct ww_hash pin, server;

    (void)state;
    expect_authority(hosts, &pin);
    shorten(32);
    server = fingerprint("server.pem");
    expect_authority(hosts, &pin);
    assert_false(changed("server.pem", server));
    shorten(29);
    server = fingerprint("server.pem");
    expect_authority(hosts, &pin);
    assert_true(changed("server.pem", server));
    assert_int_equal(scratch_run("openssl x509 -in tls/server.pem -noout -checkend 34000000"), 0);
}

/* The CA certificate is renewed with the same key, so nobody has to learn a new pin. */
static void test_ca_renewal_keeps_the_pin(void **state)
{
    struct ww_hash pin, pin_again, ca;

    (void)state;
    expect_authority(hosts, &pin);
    assert_int_equal(scratch_run("cd tls && openssl x509 -in ca.pem -signkey ca.key -days 300 "
                                 "-out short && mv short ca.pem"),
                     0);
    ca = fingerprint("ca.pem");
    expect_authority(hosts, &pin_again);
    assert_true(changed("ca.pem", ca));
    assert_true(ww_hash_equal(&pin, &pin_again));
    assert_int_equal(scratch_run("openssl verify -x509_strict -CAfile tls/ca.pem tls/server.pem"),
                     0);
    assert_int_equal(scratch_run("rm tls/ca.pem"), 0);
    expect_authority(hosts, &pin_again);
    assert_true(ww_hash_equal(&pin, &pin_again));
}

/* Every set that a crash or a person can leave behind. */
static void test_incomplete_sets(void **state)
{
    static const char *const damages[] = {
        "rm tls/server.pem",
        "rm tls/server.key",
        "rm tls/server.pem tls/server.key",
        ": >tls/server.pem",
        "echo hello >tls/server.pem",
        "head -c 300 tls/server.pem >x && mv x tls/server.pem",
        "cp tls/ca.pem tls/server.pem",
        "cp tls/ca.key tls/server.key",
    };
    struct ww_hash pin, pin_again;

    (void)state;
    expect_authority(hosts, &pin);
    for (size_t index = 0; index < WW_ARRAY_COUNT(damages); index++) {
        assert_int_equal(scratch_run(damages[index]), 0);
        expect_authority(hosts, &pin_again);
        assert_true(ww_hash_equal(&pin, &pin_again));
        assert_int_equal(scratch_run("openssl verify -x509_strict -CAfile tls/ca.pem "
                                     "tls/server.pem"),
                         0);
    }
}

static void test_authority_refusals(void **state)
{
    static const char *const bad[] = {"",     "a,DNS:b",   "a b", "-x",  ".x",
                                      "a\nb", "*.example", "a/b", "a:b", "a."};
    const char *const none[] = {NULL};
    const char *many[WW_CERTIFICATE_HOSTS_MAX + 2];
    struct ww_hash pin;

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(bad); index++) {
        const char *const one[] = {bad[index], NULL};

        assert_int_equal(ww_certificate_authority(scratch_path("tls"), one, &pin), WW_EINVAL);
    }
    assert_int_equal(ww_certificate_authority(scratch_path("tls"), none, &pin), WW_EINVAL);
    for (size_t index = 0; index < WW_ARRAY_COUNT(many) - 1; index++)
        many[index] = "a.example";
    many[WW_ARRAY_COUNT(many) - 1] = NULL;
    assert_int_equal(ww_certificate_authority(scratch_path("tls"), many, &pin), WW_ETOOBIG);
    many[WW_CERTIFICATE_HOSTS_MAX] = NULL;
    expect_authority(many, &pin);
    assert_int_equal(scratch_run("chmod 644 tls/ca.key"), 0);
    assert_int_equal(ww_certificate_authority(scratch_path("tls"), hosts, &pin), WW_EKEYFILE);
    assert_int_equal(scratch_run("chmod 600 tls/ca.key; cp tls/server.key tls/ca.key"), 0);
    assert_int_equal(ww_certificate_authority(scratch_path("tls"), hosts, &pin), WW_EKEYFILE);
}

static void test_ca_key_kept_elsewhere(void **state)
{
    struct ww_hash pin, pin_again;

    (void)state;
    expect_authority(hosts, &pin);
    assert_int_equal(scratch_run("mv tls/ca.key kept"), 0);
    expect_authority(hosts, &pin_again);
    assert_true(ww_hash_equal(&pin, &pin_again));
    assert_int_equal(ww_certificate_authority(scratch_path("tls"), more_hosts, &pin), WW_EKEYFILE);
    assert_int_equal(scratch_run("test ! -e tls/ca.key && mv kept tls/ca.key"), 0);
    expect_authority(more_hosts, &pin_again);
}

static void test_pin_refusals(void **state)
{
    struct ww_hash pin;

    (void)state;
    expect_authority(hosts, &pin);
    assert_int_equal(ww_certificate_pin(scratch_path("none"), &pin), WW_ENOTFOUND);
    assert_int_equal(ww_certificate_pin(scratch_path("tls"), &pin), WW_EIO);
    assert_int_equal(ww_certificate_pin(scratch_path("tls/ca.key"), &pin), WW_EMALFORMED);
    assert_int_equal(scratch_run("for n in $(seq 17); do cat tls/ca.pem; done >many"), 0);
    assert_int_equal(ww_certificate_pin(scratch_path("many"), &pin), WW_ETOOBIG);
    assert_int_equal(scratch_run("openssl req -x509 -newkey rsa:2048 -nodes -keyout k -subj /CN=x "
                                 "-out rsa.pem"),
                     0);
    assert_int_equal(ww_certificate_pin(scratch_path("rsa.pem"), &pin), 0);
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self),
        cmocka_unit_test(test_node_id_of_other_keys),
        WITH_SCRATCH(test_authority_chain),
        WITH_SCRATCH(test_pin_as_openssl_has_it),
        WITH_SCRATCH(test_second_start_changes_nothing),
        WITH_SCRATCH(test_new_host_renews_server_only),
        WITH_SCRATCH(test_expiry_renews),
        WITH_SCRATCH(test_ca_renewal_keeps_the_pin),
        WITH_SCRATCH(test_incomplete_sets),
        WITH_SCRATCH(test_authority_refusals),
        WITH_SCRATCH(test_ca_key_kept_elsewhere),
        WITH_SCRATCH(test_pin_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
