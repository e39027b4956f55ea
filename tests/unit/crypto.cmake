ww_unit_test(crypto_key SOURCES crypto_key_test.c ROOMS crypto LIBRARIES OpenSSL::Crypto)
ww_unit_test(crypto_sign SOURCES crypto_sign_test.c ROOMS crypto)
ww_unit_test(crypto_hash SOURCES crypto_hash_test.c ROOMS crypto)
ww_unit_test(crypto_seal SOURCES crypto_seal_test.c ROOMS crypto)
ww_unit_test(crypto_certificate SOURCES crypto_certificate_test.c ROOMS crypto
  LIBRARIES OpenSSL::Crypto)
ww_unit_test(crypto_memory SOURCES crypto_memory_test.c ROOMS crypto LIBRARIES OpenSSL::Crypto)
