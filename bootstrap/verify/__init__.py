"""Proves two exports equal item by item, in bounded memory, and judges what differs.

Read in this order: `manifest` (what an export says it holds), `files` (its lines, checked against
that), `digests` (a line to two digests), `spool` (digests on disk), `comparison` (the two passes),
`judging` (what a differing key means while writers go on), `attributes` (what differs in it);
`rounds` (which exports) and `verification` (all of it, for the command) put them together.
"""
