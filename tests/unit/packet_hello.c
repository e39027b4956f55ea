/* Greetings for tests: see packet_hello.h. Relies on OpenSSL. */
#include "packet_hello.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

size_t hello_tls(const char *name, uint8_t *out, size_t max)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem()), *sent = BIO_new(BIO_s_mem());

    WW_REQUIRE(ssl && in && sent);
    SSL_set_bio(ssl, in, sent);
    SSL_set_connect_state(ssl);
    if (name)
        WW_REQUIRE(SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                            (void *)(uintptr_t)name) ==
                   1); /* as the macro, which casts const away */
    SSL_do_handshake(ssl);
    int size = BIO_read(sent, out, (int)max);
    WW_REQUIRE(size > 0);
    SSL_free(ssl);
    SSL_CTX_free(context);
    return (size_t)size;
}

static X509 *certificate(EVP_PKEY *key)
{
    X509 *made = X509_new();

    WW_REQUIRE(made && key);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 86400);
    X509_set_pubkey(made, key);
    X509_NAME *name = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"example.com", -1, -1, 0);
    X509_set_issuer_name(made, name);
    WW_REQUIRE(X509_sign(made, key, EVP_sha256()) > 0);
    return made;
}

size_t hello_tls_answer(uint8_t *out, size_t max)
{
    SSL_CTX *contexts[2] = {SSL_CTX_new(TLS_client_method()), SSL_CTX_new(TLS_server_method())};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *shown = certificate(key);
    SSL *ends[2];

    WW_REQUIRE(SSL_CTX_use_certificate(contexts[1], shown) == 1 &&
               SSL_CTX_use_PrivateKey(contexts[1], key) == 1);
    for (int i = 0; i < 2; i++) {
        SSL_CTX_set_max_proto_version(contexts[i], TLS1_2_VERSION);
        ends[i] = SSL_new(contexts[i]);
        SSL_set_bio(ends[i], BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    }
    SSL_set_connect_state(ends[0]);
    SSL_set_accept_state(ends[1]);
    SSL_do_handshake(ends[0]);
    int size = BIO_read(SSL_get_wbio(ends[0]), out, (int)max);
    WW_REQUIRE(size > 0 && BIO_write(SSL_get_rbio(ends[1]), out, size) == size);
    SSL_do_handshake(ends[1]);
    size = BIO_read(SSL_get_wbio(ends[1]), out, (int)max);
    WW_REQUIRE(size > 0);
    for (int i = 0; i < 2; i++) {
        SSL_free(ends[i]);
        SSL_CTX_free(contexts[i]);
    }
    X509_free(shown);
    EVP_PKEY_free(key);
    return (size_t)size;
}

/* --- QUIC ------------------------------------------------------------------------------------- */

static const uint8_t DCID[8] = {0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08};

static void expand(const uint8_t secret[32], const char *label, size_t size, uint8_t *out)
{
    uint8_t info[64] = {0, (uint8_t)size, (uint8_t)(6 + strlen(label))}, block[32];
    size_t used = 3;

    memcpy(info + used, "tls13 ", 6);
    memcpy(info + used + 6, label, strlen(label));
    used += 6 + strlen(label);
    info[used++] = 0; /* no context */
    info[used++] = 1; /* the first block of HKDF */
    HMAC(EVP_sha256(), secret, 32, info, used, block, NULL);
    memcpy(out, block, size);
}

static void put_u16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The CRYPTO frame of appendix A.2 with its server name replaced. */
static size_t put_crypto(const char *name, uint8_t *out)
{
    static const char before[] =
        "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c"
        "00000413011302010000c0";
    static const char after[] =
        "ff01000100000a00080006001d0017001800100007000504616c706e000500050100000000003300260024"
        "001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304"
        "000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffffff"
        "ffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff";
    size_t length = strlen(name), size = 0;

    for (const char *at = before; *at; at += 2, size++)
        WW_REQUIRE(sscanf(at, "%2hhx", &out[size]) == 1);
    memcpy(out + size, (uint8_t[]){0, 0}, 2);
    put_u16(out + size + 2, length + 5);
    put_u16(out + size + 4, length + 3);
    out[size + 6] = 0;
    put_u16(out + size + 7, length);
    memcpy(out + size + 9, name, length);
    size += 9 + length;
    for (const char *at = after; *at; at += 2, size++)
        WW_REQUIRE(sscanf(at, "%2hhx", &out[size]) == 1);
    put_u16(out + 2, 0x4000 | (size - 4)); /* of the frame */
    put_u16(out + 6, size - 8);            /* of the greeting */
    put_u16(out + 4 + 4 + 2 + 32 + 1 + 6 + 2, size - 4 - 4 - 2 - 32 - 1 - 6 - 2 - 2);
    return size;
}

static void encrypt(const uint8_t *key, const uint8_t *nonce, const uint8_t *head, size_t head_size,
                    uint8_t *body, size_t body_size)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int used = 0;

    WW_REQUIRE(EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, key, nonce) == 1);
    EVP_EncryptUpdate(cipher, NULL, &used, head, (int)head_size);
    EVP_EncryptUpdate(cipher, body, &used, body, (int)body_size);
    EVP_EncryptFinal_ex(cipher, body + used, &used);
    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, 16, body + body_size);
    EVP_CIPHER_CTX_free(cipher);
}

/* A packet that has the bytes `from` to `to` of the greeting in its CRYPTO frame. */
static void put_quic(const char *name, size_t from, size_t to, uint8_t number, uint8_t out[1200])
{
    static const uint8_t salt[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                     0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
    const uint8_t head[22] = {0xc3, 0,    0,    0, 1, 8,    0x83, 0x94, 0xc8, 0xf0, 0x3e,
                              0x51, 0x57, 0x08, 0, 0, 0x44, 0x9e, 0,    0,    0,    number};
    uint8_t initial[32], client[32], key[16], iv[12], hp[16], mask[32], crypto[1200];
    int used = 0;

    HMAC(EVP_sha256(), salt, sizeof(salt), DCID, sizeof(DCID), initial, NULL);
    expand(initial, "client in", 32, client);
    expand(client, "quic key", 16, key);
    expand(client, "quic iv", 12, iv);
    expand(client, "quic hp", 16, hp);
    memset(out, 0, 1200);
    memcpy(out, head, sizeof(head));
    size_t size = put_crypto(name, crypto);
    WW_REQUIRE(size < 1100);
    if (from == 0 && to == 0) {
        memcpy(out + sizeof(head), crypto, size);
    } else {
        to = WW_MIN(to, size - 4);
        out[sizeof(head)] = 6;
        put_u16(out + sizeof(head) + 1, 0x4000 | from);
        put_u16(out + sizeof(head) + 3, 0x4000 | (to - from));
        memcpy(out + sizeof(head) + 5, crypto + 4 + from, to - from);
    }
    iv[11] ^= number;
    encrypt(key, iv, head, sizeof(head), out + sizeof(head), 1200 - sizeof(head) - 16);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(cipher, EVP_aes_128_ecb(), NULL, hp, NULL);
    EVP_EncryptUpdate(cipher, mask, &used, out + sizeof(head), 16);
    EVP_CIPHER_CTX_free(cipher);
    out[0] ^= mask[0] & 0x0f;
    for (int i = 0; i < 4; i++)
        out[18 + i] ^= mask[1 + i];
}

size_t hello_quic(const char *name, uint8_t out[1200])
{
    put_quic(name ? name : "example.com", 0, 0, 2, out);
    return 1200;
}

size_t hello_quic_half(unsigned half, uint8_t out[1200])
{
    put_quic("example.com", half == 0 ? 0 : 50, half == 0 ? 50 : 2000, (uint8_t)(2 + half), out);
    return 1200;
}
