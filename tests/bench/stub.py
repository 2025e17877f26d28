"""A DynamoDB that stores nothing and answers after a chosen time: `python -m tests.bench.stub`.

It speaks enough HTTP/1.1 for botocore (keep-alive, Content-Length), in a process of its own, so that
the client's CPU time is the client's alone. It prints its port. The latency travels in the request's
path, so that one server serves every row of the table.
"""

from __future__ import annotations

import asyncio
import json
import zlib

LARGEST = 64 * 1024 * 1024


def answer(operation: str, body: bytes) -> bytes:
    """What an empty table would say: writes succeed, reads find nothing, everything asked is done."""
    if operation == "BatchGetItem":
        tables = json.loads(body)["RequestItems"]
        return json.dumps(
            {"Responses": {table: [] for table in tables}, "UnprocessedKeys": {}}
        ).encode()
    return b"{}"


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are answered one after the other, each after its latency."""

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
        content = answer(target.rpartition(".")[2], body)
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
