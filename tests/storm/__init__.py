"""A storm: a real server is killed again and again under load, beside a ledger that its clients keep."""
