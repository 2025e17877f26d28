"""STS as a server on 127.0.0.1: AssumeRole alone, with a record of what was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

ANSWER = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>ASIA{n:016d}</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>token-{n}</SessionToken>
<Expiration>{until}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
REFUSAL = """<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>\
MultiFactorAuthentication failed with invalid MFA one time pass code. </Message></Error>\
</ErrorResponse>"""
WRONG_CODE = "000000"


class FakeSts:
    """A code is taken once; each session lasts as long as the test says."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str | None, str]] = []
        """Of each request the Region that it was signed for, the external id, the session name."""
        self.codes: list[str] = []
        self.lasts = timedelta(hours=1)

    def answer(self, body: str, signature: str) -> tuple[int, str]:
        """Answer a request: status and body."""
        request = parse_qs(body)
        [region] = re.findall(r"/\d{8}/([\w-]+)/sts/", signature)
        word = request.get("ExternalId", [None])[0]
        self.asked.append((region, word, request["RoleSessionName"][0]))
        for code in request.get("TokenCode", []):
            if code in self.codes or code == WRONG_CODE:
                return 403, REFUSAL
            self.codes.append(code)
        until = (datetime.now(UTC) + self.lasts).isoformat(timespec="seconds")
        return 200, ANSWER.format(n=len(self.asked), until=until.replace("+00:00", "Z"))


@contextmanager
def sts_server() -> Iterator[FakeSts]:
    """Serve until the block ends. botocore finds it by `AWS_ENDPOINT_URL`."""
    service = FakeSts()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, text = service.answer(body, self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
