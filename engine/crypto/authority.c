/* The arbiter's own certificate authority and server certificate, kept in one folder.
 *
 * Relies on the pin being the authority's public key: ca.key is what an arbiter's members trust,
 * so it is made once and never replaced. Must never overwrite a CA key, and never serve a
 * certificate that doesn't belong to its key.
 *
 * Files appear in the order ca.key, ca.pem, server.key, server.pem, each one atomically. A crash
 * in between leaves a set that the next start recognises as incomplete and completes.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define CA_DAYS           3650
#define SERVER_DAYS       397                               /* the longest that browsers accept */
#define SERVER_RENEW_DAYS 30                                /* the header's promise */
#define CA_RENEW_DAYS     (SERVER_DAYS + SERVER_RENEW_DAYS) /* it outlives what it signs */
#define COMMON_NAME_MAX   64                                /* RFC 5280 ub-common-name */

struct authority {
    const char *folder;
    const char *const *hosts;
    struct ww_key *ca_key; /* NULL when the operator keeps it elsewhere */
    X509 *ca;
    struct ww_key *server_key;
    struct stack_st_X509 *chain; /* of server.pem: leaf, then CA */
};

static int path_of(const struct authority *authority, const char *name, char path[PATH_MAX])
{
    int size = snprintf(path, PATH_MAX, "%s/%s", authority->folder, name);

    return size > 0 && size < PATH_MAX ? 0 : WW_EINVAL;
}

static int complain(const char *path, const char *why, int rc)
{
    ww_log(WW_LOG_ERROR, "crypto", "a certificate file can't be used", "path=\"%s\" why=\"%s\"",
           path, why);
    return rc;
}

static bool is_address(const char *host)
{
    uint8_t binary[16];

    return inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1;
}

/* What may stand in a subject alternative name; so no host can smuggle in another entry. */
static bool is_host(const char *host)
{
    size_t size = strlen(host);

    if (is_address(host))
        return true;
    if (size == 0 || size > 253 || host[0] == '.' || host[0] == '-' || host[size - 1] == '.')
        return false;
    for (const char *at = host; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '.' && *at != '_')
            return false;
    }
    return true;
}

static int check_hosts(const char *const *hosts)
{
    size_t count = 0;

    for (; hosts[count]; count++) {
        if (count == WW_CERTIFICATE_HOSTS_MAX)
            return WW_ETOOBIG;
        if (!is_host(hosts[count]))
            return WW_EINVAL;
    }
    return count > 0 ? 0 : WW_EINVAL;
}

/* True if the certificate is valid now and for `days` more. */
static bool lasts(const X509 *certificate, int days)
{
    time_t until = (time_t)(ww_clock_wall_ms() / 1000) + (time_t)days * 86400;

    return X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0 &&
           X509_cmp_time(X509_get0_notAfter(certificate), &until) > 0;
}

static bool covers(X509 *certificate, const char *const *hosts)
{
    for (; *hosts; hosts++) {
        int found = is_address(*hosts) ? X509_check_ip_asc(certificate, *hosts, 0)
                                       : X509_check_host(certificate, *hosts, 0,
                                                         X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL);
        if (found != 1)
            return false;
    }
    return true;
}

/* --- files ---------------------------------------------------------------------------------- */

/* *key stays NULL when the file is missing. */
static int load_key(const struct authority *authority, const char *name, struct ww_key **key)
{
    char path[PATH_MAX], why[160];
    int rc = path_of(authority, name, path);

    if (rc)
        return rc;
    rc = ww_key_load(path, key, why, sizeof(why));
    return rc == 0 || rc == WW_ENOTFOUND ? 0 : complain(path, why, rc);
}

/* *chain stays NULL when the file is missing or damaged: both are made anew. */
static int load_chain(const struct authority *authority, const char *name,
                      struct stack_st_X509 **chain)
{
    char path[PATH_MAX], why[160] = "";
    struct ww_buf pem;
    int rc = path_of(authority, name, path);

    if (rc)
        return rc;
    rc = ww_crypto_file_read(path, WW_CERTIFICATE_FILE_BYTES_MAX, false, &pem, why, sizeof(why));
    if (rc)
        return rc == WW_ENOTFOUND ? 0 : complain(path, why, rc);
    rc = ww_crypto_chain_parse(pem.data, pem.size, chain);
    ww_buf_deinit(&pem);
    return rc == WW_ENOMEM ? rc : 0;
}

static int save_chain(const struct authority *authority, const char *name, X509 *first,
                      X509 *second)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char path[PATH_MAX], *pem = NULL;
    long size;
    int rc = WW_ENOMEM;

    if (!bio || PEM_write_bio_X509(bio, first) != 1 ||
        (second && PEM_write_bio_X509(bio, second) != 1))
        goto out;
    size = BIO_get_mem_data(bio, &pem);
    rc = path_of(authority, name, path);
    if (!rc)
        rc = ww_crypto_file_write(path, pem, (size_t)size, 0644, true);
    if (rc)
        complain(path, "It can't be written", rc);
out:
    BIO_free(bio);
    return rc ? ww_crypto_failed(rc) : 0;
}

/* Makes a key and its file. `replace` is false for the CA's. */
static int make_key(const struct authority *authority, const char *name, bool replace,
                    struct ww_key **key)
{
    char path[PATH_MAX];
    struct ww_key *made;
    int rc = path_of(authority, name, path);

    if (!rc)
        rc = ww_key_generate(&made);
    if (rc)
        return rc;
    rc = ww_crypto_key_write(made, path, replace);
    if (rc) {
        ww_key_destroy(made);
        return complain(path, "It can't be written", rc);
    }
    ww_key_destroy(*key);
    *key = made;
    return 0;
}

/* --- making --------------------------------------------------------------------------------- */

struct extension {
    int nid;
    const char *value;
};

/* Extends and signs; the issuer is the certificate itself for a CA. */
static int finish(X509 *certificate, X509 *issuer, const struct ww_key *issuer_key,
                  const struct extension *extensions, size_t count)
{
    if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1)
        return ww_crypto_failed(WW_ENOMEM);
    for (size_t index = 0; index < count; index++) {
        int rc = ww_crypto_certificate_extend(certificate, issuer, extensions[index].nid,
                                              extensions[index].value);
        if (rc)
            return rc;
    }
    if (X509_sign(certificate, issuer_key->evp, EVP_sha256()) == 0)
        return ww_crypto_failed(WW_ENOMEM);
    return 0;
}

static int make_ca(struct authority *authority)
{
    static const struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
        {NID_key_usage, "critical,keyCertSign,cRLSign"},
        {NID_subject_key_identifier, "hash"},
    };
    char pin[WW_HASH_TEXT_SIZE], name[COMMON_NAME_MAX + 1];
    X509 *made = NULL;
    int rc;

    /* Part of the pin tells two authorities apart in a list. */
    snprintf(name, sizeof(name), "ww authority %.8s",
             ww_hash_format(&authority->ca_key->node_id, pin));
    rc = ww_crypto_certificate_blank(name, authority->ca_key, CA_DAYS, &made);
    if (!rc)
        rc = finish(made, made, authority->ca_key, extensions, WW_ARRAY_COUNT(extensions));
    if (!rc)
        rc = save_chain(authority, "ca.pem", made, NULL);
    if (rc) {
        X509_free(made);
        return rc;
    }
    X509_free(authority->ca);
    authority->ca = made;
    return 0;
}

static int make_server(struct authority *authority)
{
    struct ww_buf names;
    X509 *made = NULL;
    int rc;

    ww_buf_init(&names, WW_CERTIFICATE_HOSTS_MAX * 260);
    for (size_t index = 0; authority->hosts[index]; index++)
        ww_buf_printf(&names, "%s%s:%s", index > 0 ? "," : "",
                      is_address(authority->hosts[index]) ? "IP" : "DNS", authority->hosts[index]);
    rc = names.error;
    if (!rc)
        rc = make_key(authority, "server.key", true, &authority->server_key);
    if (!rc)
        rc = ww_crypto_certificate_blank("ww arbiter", authority->server_key, SERVER_DAYS, &made);
    if (!rc) {
        const struct extension extensions[] = {
            {NID_basic_constraints, "critical,CA:FALSE"},
            {NID_key_usage, "critical,digitalSignature"},
            {NID_ext_key_usage, "serverAuth"},
            {NID_subject_key_identifier, "hash"},
            {NID_authority_key_identifier, "keyid:always"},
            {NID_subject_alt_name, ww_buf_text(&names)},
        };

        rc = finish(made, authority->ca, authority->ca_key, extensions, WW_ARRAY_COUNT(extensions));
    }
    if (!rc)
        rc = save_chain(authority, "server.pem", made, authority->ca);
    X509_free(made);
    ww_buf_deinit(&names);
    return rc;
}

/* --- deciding ------------------------------------------------------------------------------- */

static bool belongs(X509 *certificate, const struct ww_key *key)
{
    bool same = certificate && key && X509_check_private_key(certificate, key->evp) == 1;

    ww_crypto_failed(0);
    return same;
}

/* True if server.pem and server.key can serve all hosts for long enough. */
static bool server_is_good(const struct authority *authority)
{
    X509 *leaf = authority->chain ? sk_X509_value(authority->chain, 0) : NULL;
    bool good = leaf && sk_X509_num(authority->chain) == 2 &&
                belongs(leaf, authority->server_key) && lasts(leaf, SERVER_RENEW_DAYS) &&
                covers(leaf, authority->hosts) &&
                X509_cmp(sk_X509_value(authority->chain, 1), authority->ca) == 0 &&
                X509_verify(leaf, X509_get0_pubkey(authority->ca)) == 1;

    ww_crypto_failed(0);
    return good;
}

/* Leaves a CA certificate that matches its key and outlives what it will sign. */
static int ready_ca(struct authority *authority)
{
    struct stack_st_X509 *chain = NULL;
    int rc = load_key(authority, "ca.key", &authority->ca_key);

    if (!rc)
        rc = load_chain(authority, "ca.pem", &chain);
    if (rc)
        return rc;
    authority->ca = chain ? sk_X509_shift(chain) : NULL;
    sk_X509_pop_free(chain, X509_free);
    if (!authority->ca_key && authority->ca)
        return 0; /* the key may be kept elsewhere as long as nothing must be signed */
    if (!authority->ca_key)
        rc = make_key(authority, "ca.key", false, &authority->ca_key);
    if (!rc && authority->ca && !belongs(authority->ca, authority->ca_key))
        return complain(authority->folder, "ca.pem and ca.key are not a pair", WW_EKEYFILE);
    if (!rc && (!authority->ca || !lasts(authority->ca, CA_RENEW_DAYS)))
        rc = make_ca(authority);
    return rc;
}

int ww_certificate_authority(const char *folder, const char *const *hosts, struct ww_hash *pin)
{
    struct authority authority = {.folder = folder, .hosts = hosts};
    char path[PATH_MAX];
    int rc = check_hosts(hosts);

    if (!rc)
        rc = path_of(&authority, "ca.key", path);
    if (!rc)
        rc = ww_crypto_folder_make(path);
    if (!rc)
        rc = ready_ca(&authority);
    if (!rc)
        rc = load_key(&authority, "server.key", &authority.server_key);
    if (!rc)
        rc = load_chain(&authority, "server.pem", &authority.chain);
    if (!rc && !server_is_good(&authority))
        rc = authority.ca_key
                 ? make_server(&authority)
                 : complain(path, "It is needed to renew the server certificate", WW_EKEYFILE);
    if (!rc)
        rc = ww_crypto_certificate_pin(authority.ca, pin);
    sk_X509_pop_free(authority.chain, X509_free);
    ww_key_destroy(authority.server_key);
    X509_free(authority.ca);
    ww_key_destroy(authority.ca_key);
    return rc;
}
