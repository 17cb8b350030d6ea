"""What a server may do beside answering: each takes the request's handler."""

import time
import zlib

#: What a fault sends at most, should nobody stop it.
MOST = 2**28


def silent(handler):
    """Says nothing until the other end hangs up."""
    handler.connection.settimeout(30)
    _until_cut(handler, lambda: handler.connection.recv(1) or _hang_up())


def dripping_head(handler):
    """A byte of a header, then another, without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    _until_cut(handler, lambda: _drip(handler))


def dripping_body(handler):
    """A whole head, then a byte of the body, then another."""
    handler.send_response(200)
    handler.send_header("Content-Length", "497")
    handler.end_headers()
    _until_cut(handler, lambda: _drip(handler))


def endless(handler):
    """A list in JSON without an end, and without a length before it."""
    _stream(handler, {}, lambda: b'"a",' * 2**14)


def bomb(handler):
    """Compressed to a thousandth, without an end."""
    packer = zlib.compressobj(9, wbits=31)
    headers = {"Content-Encoding": "gzip"}
    _stream(handler, headers, lambda: packer.compress(b" " * 2**24))


def larger(handler):
    """More than the size that HEAD says."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(MOST))
    handler.end_headers()
    _until_cut(handler, lambda: _put(handler, b"0" * 2**16))


def redirected(handler):
    """To where it was asked for already."""
    handler.send(302, b"", {"Location": handler.path})


def wait_an_hour(times):
    """Asks for patience, so many times, then goes on as always."""
    left = [times]

    def fault(handler):
        left[0] -= 1
        if not left[0]:
            handler.hub.faults.clear()
        handler.send(429, b"", {"Retry-After": "3600"})

    return fault


def answers(value, status=200):
    """Something else in JSON."""
    return lambda handler: handler.send(status, value)


def _stream(handler, headers, piece):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    for key, value in headers.items():
        handler.send_header(key, value)
    handler.end_headers()
    _put(handler, b"1\r\n[\r\n")

    def send():
        data = piece()
        if data:
            _put(handler, b"%x\r\n%s\r\n" % (len(data), data))

    _until_cut(handler, send)


def _put(handler, data):
    handler.wfile.write(data)
    handler.hub.sent += len(data)


def _drip(handler):
    _put(handler, b" ")
    time.sleep(0.1)


def _hang_up():
    raise ConnectionError


def _until_cut(handler, step):
    handler.close_connection = True
    end = time.monotonic() + 30
    try:
        while time.monotonic() < end and handler.hub.sent < MOST:
            step()
    except OSError:
        pass
    handler.wfile = handler.rfile = open("/dev/null", "rb")
