ww_fuzz_target(ledger_record SOURCES ledger_record_fuzz.c ROOMS ledger store loop crypto base)
