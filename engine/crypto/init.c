/* Starting OpenSSL, and the two ways in which this room reports a failure.
 *
 * Relies on being called before any other use of OpenSSL when its memory is to come from
 * ww_alloc. Must never configure OpenSSL from files of the system: ours is the only configuration.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdio.h>

#include "internal.h"

static void *openssl_alloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return size > 0 ? ww_alloc(1, size) : NULL;
}

static void openssl_free(void *block, const char *file, int line)
{
    (void)file, (void)line;
    ww_free(block);
}

static void *openssl_realloc(void *block, size_t size, const char *file, int line)
{
    if (size == 0) {
        openssl_free(block, file, line);
        return NULL;
    }
    return block ? ww_realloc(block, 1, size) : openssl_alloc(size, file, line);
}

bool ww_crypto_init(void)
{
    bool hooked = CRYPTO_set_mem_functions(openssl_alloc, openssl_realloc, openssl_free) == 1;

    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    return hooked;
}

int ww_crypto_failed(int code)
{
    unsigned long error;

    /* A key or signature that could not be examined for want of memory is not a bad one. */
    while ((error = ERR_get_error()) != 0) {
        if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
            code = WW_ENOMEM;
    }
    return code;
}

int ww_crypto_refuse(int code, char *why, size_t why_size, const char *format, ...)
{
    va_list arguments;

    if (why && why_size > 0) {
        va_start(arguments, format);
        vsnprintf(why, why_size, format, arguments);
        va_end(arguments);
    }
    return code;
}
