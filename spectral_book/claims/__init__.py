"""Claims as data: files, statistics, verdicts, the ledger."""
