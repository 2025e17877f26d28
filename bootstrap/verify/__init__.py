"""Verification: two exports compared item by item in bounded memory, and the differences judged.

`exports` reads an export (manifest, files, lines, digests). `compare` spools the digests and finds
the keys that differ. `judge` decides each of those by its ledger entry, and reports it.
"""
