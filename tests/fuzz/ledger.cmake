ww_fuzz_target(ledger_record SOURCES ledger_record_fuzz.c ROOMS ledger store loop crypto base)
ww_fuzz_target(ledger_backup SOURCES ledger_backup_fuzz.c ROOMS ledger store loop crypto base)
