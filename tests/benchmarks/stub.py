"""A DynamoDB that stores nothing and answers late: `python -m tests.benchmarks.stub`.

It speaks enough HTTP/1.1 for botocore (keep-alive, Content-Length), in a process of its own, so
that the client's CPU time is the client's alone. It prints its port. The latency travels in the
request's path, so that one server serves every row of the table. `GET /counts` tells the requests
and the actions on each table since it was asked last.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import Counter

TABLES = (b"bench-replica", b"bench-ledger")
COUNTS = "/counts"

_counts: Counter[str] = Counter()


def count(operation: str, body: bytes) -> None:
    """Notes a request, and how many actions of a write name each table."""
    _counts["requests"] += 1
    if operation in ("PutItem", "DeleteItem", "TransactWriteItems"):
        for table in TABLES:
            _counts[table.decode()] += body.count(b'"' + table + b'"')


def answer(operation: str, body: bytes) -> bytes:
    """What an empty table would say: writes succeed, and reads find nothing."""
    if operation == "BatchGetItem":
        tables = json.loads(body)["RequestItems"]
        return json.dumps(
            {"Responses": {table: [] for table in tables}, "UnprocessedKeys": {}}
        ).encode()
    return b"{}"


class Connection(asyncio.Protocol):
    """A keep-alive connection: requests are answered in turn, each after its latency."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = bytearray()
        self.needed = 0

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= self.needed:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.buffer[:end]).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])
            }
            if headers.get("expect", "").lower() == "100-continue" and self.needed == 0:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self.buffer) < whole:
                self.needed = whole
                return
            body = bytes(self.buffer[end + 4 : whole])
            del self.buffer[:whole]
            self.needed = 0
            self.respond(head[0].split(" ")[1], headers.get("x-amz-target", ""), body)

    def respond(self, path: str, target: str, body: bytes) -> None:
        if path == COUNTS:
            content, path = json.dumps(_counts).encode(), "/0"
            _counts.clear()
        else:
            operation = target.rpartition(".")[2]
            count(operation, body)
            content = answer(operation, body)
        response = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
            b"x-amzn-RequestId: bench\r\nx-amz-crc32: %d\r\nContent-Length: %d\r\n\r\n"
            % (zlib.crc32(content), len(content))
        ) + content
        latency = float(path.strip("/") or 0) / 1000
        asyncio.get_running_loop().call_later(latency, self.transport.write, response)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
