ww_unit_test(store SOURCES store_test.c ROOMS store)
ww_unit_test(store_secret SOURCES store_secret_test.c ROOMS store)
ww_unit_test(store_committer SOURCES store_committer_test.c ROOMS store loop)
