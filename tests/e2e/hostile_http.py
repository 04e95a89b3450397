"""What hostile clients send, byte by byte, and the only answers that the gate may give.

A case is (name, bytes, answers): the status of each answer in order, after which the connection ends or
nothing more comes. `()` means closed without an answer. Requests that a front end must never be talked
into carry the path of SMUGGLED: no hub may ever see it.
"""
from __future__ import annotations

SMUGGLED = "/api/models/demo/smuggled"
READ = "/api/models/demo/clean"
POST = "/api/models/demo/clean/paths-info/main"
BODY = b'{"paths":["config.json"]}'
CHUNKED = b"19\r\n" + BODY + b"\r\n0\r\n\r\n"
AFTER = f"GET {SMUGGLED} HTTP/1.1\r\nHost: gate\r\n\r\n".encode()
assert len(BODY) == 0x19

Case = tuple[str, bytes, tuple[int, ...]]
OK, BAD, BIG = (200,), (400,), (431,)


def get(*lines: str | bytes, target: str | bytes = READ, version: str = "HTTP/1.1", host: bool = True) -> bytes:
    return head("GET", target, version, [*(["Host: gate"] if host else []), *lines])


def post(*lines: str | bytes, body: bytes = b"") -> bytes:
    return head("POST", POST, "HTTP/1.1", ["Host: gate", "Content-Type: application/json", *lines]) + body


def raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def head(method: str, target: str | bytes, version: str, lines: list[str | bytes]) -> bytes:
    return b" ".join((raw(method), raw(target), raw(version))) + b"\r\n" + b"".join(raw(line) + b"\r\n" for line in lines) + b"\r\n"


def lengths() -> list[Case]:
    """Content-Length: one number, once (RFC 9110, 8.6; RFC 9112, 6.3)."""
    cases: list[Case] = [("length", post("Content-Length: 25", body=BODY), OK),
                         ("length with blanks around it", post("Content-Length: \t25 \t", body=BODY), OK),
                         ("length in other letters", post("cOnTeNt-LeNgTh: 25", body=BODY), OK),
                         ("length with a zero in front", post("Content-Length: 025", body=BODY), OK),
                         ("length of the wrong field", post("Content_Length: 9999", "Content-Length: 25", body=BODY), OK),
                         ("two requests", post("Content-Length: 25", body=BODY) * 2, (200, 200)),
                         ("junk behind the body", post("Content-Length: 25", body=BODY + b"junk\r\n\r\n"), (200, 400)),
                         ("body of a GET that is taken for a request", get(f"Content-Length: {len(AFTER)}") + AFTER, OK),
                         ("length zero and a request", get("Content-Length: 0") + get(), (200, 200)),
                         ("length of 2 to the 63rd", post("Content-Length: 9223372036854775808", body=BODY), (413,))]
    values = ["+25", "-25", "0x19", "25,25", "25, 25", "25, 26", "25 25", "25.0", "2.5e1", "", "1_9", "NaN", "25;", "25\x0b", "25a",
              "18446744073709551641", "9" * 40, "\u00b2\u2075".encode().decode("latin-1"), "'25'", '"25"', "0b11001", "25 \x0c"]
    cases += [(f"length {value!r}", post(f"Content-Length: {value}", body=BODY + AFTER), BAD) for value in values]
    cases += [(f"lengths {one} and {other}", post(f"Content-Length: {one}", f"Content-Length: {other}", body=BODY + AFTER), BAD)
              for one, other in ((25, 25), (25, 26), (0, 25), (25, 0), ("", 25), ("x", 25))]
    cases += [(f"length field {name!r}", post(f"{name}: 25", body=BODY + AFTER), BAD)
              for name in ("Content-Length ", "Content-Length\t", " Content-Length", "Content-Length\x0b", "Content-Length\x00", "Content\rLength")]
    return cases


def encodings() -> list[Case]:
    """Transfer-Encoding: chunked, once, never beside a length (RFC 9112, 6.1 and 6.3)."""
    te = "Transfer-Encoding"
    cases: list[Case] = [("chunked", post(f"{te}: chunked", body=CHUNKED), OK),
                         ("Chunked", post("transfer-encoding: CHUNKED", body=CHUNKED), OK),
                         ("chunked with blanks around it", post(f"{te}:  chunked\t", body=CHUNKED), OK),
                         ("two chunked requests", post(f"{te}: chunked", body=CHUNKED) * 2, (200, 200)),
                         ("the wrong field beside a length", post("Transfer_Encoding: chunked", "Content-Length: 25", body=BODY), OK),
                         ("HTTP/1.0 chunked", post(f"{te}: chunked", body=CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0"), BAD)]
    values = ["xchunked", "chunked, identity", "identity, chunked", "identity", "gzip, chunked", "chunked, chunked", "'chunked'", '"chunked"', "chunked;q=1",
              "cow", "", ",chunked", "chunked,", "\x0bchunked", "\x0cchunked", "chunked\x0b", "chunked\x00", "chu nked", "chunk", "\xe7hunked", "deflate", "chunked\xa0"]
    cases += [(f"encoding {value!r}", post(f"{te}: {value}", body=CHUNKED + AFTER), BAD) for value in values]
    cases += [(f"CL.TE: encoding {value!r} beside a length", post("Content-Length: 6", f"{te}: {value}", body=b"0\r\n\r\n" + AFTER), BAD)
              for value in ("chunked", "xchunked", "chunked, cow", "identity")]
    cases += [(f"TE.CL: length {length} behind the encoding", post(f"{te}: chunked", f"Content-Length: {length}", body=b"5c\r\n" + AFTER + b"\r\n0\r\n\r\n"), BAD)
              for length in (4, 0, 9999)]
    cases += [(f"TE.TE: {one!r} and {other!r}", post(f"{te}: {one}", f"{te}: {other}", body=CHUNKED + AFTER), BAD)
              for one, other in (("chunked", "chunked"), ("chunked", "cow"), ("cow", "chunked"), ("identity", "chunked"), ("", "chunked"))]
    cases += [(f"encoding field {name!r}", post(f"{name}: chunked", "Content-Length: 25", body=BODY + AFTER), BAD)
              for name in (f"{te} ", f"{te}\t", f" {te}", f"\t{te}", f"{te}\x0b", f"{te}\x00", f"{te}\n ", f"x\n{te}", f"x: y\r{te}")]
    cases += [("encoding folded", post(f"{te}:\r\n chunked", body=CHUNKED + AFTER), BAD),
              ("encoding in a folded line", post(f"X: y\r\n {te}: chunked", "Content-Length: 25", body=BODY + AFTER), BAD),
              ("encoding behind a bare LF", post(f"X: y\n{te}: chunked", "Content-Length: 25", body=BODY + AFTER), BAD)]
    return cases


def chunks() -> list[Case]:
    """Chunk sizes, extensions, ends and trailers (RFC 9112, 7.1)."""
    def sent(body: bytes) -> bytes:
        return post("Transfer-Encoding: chunked", body=body)

    good = {"zeros in front": b"0000019\r\n" + BODY + b"\r\n0\r\n\r\n",
            "an extension": b"19;a=b\r\n" + BODY + b"\r\n0;c\r\n\r\n", "a quoted extension": b'19;a="b c"\r\n' + BODY + b"\r\n0\r\n\r\n",
            "digits in capitals": b"A\r\n" + BODY[:10] + b"\r\nF\r\n" + BODY[10:] + b"\r\n0\r\n\r\n", "many chunks": b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n", "a trailer": b"19\r\n" + BODY + b"\r\n0\r\nX: y\r\n\r\n",
            "a last chunk of many zeros": b"19\r\n" + BODY + b"\r\n000\r\n\r\n",
            "trailers that would frame": b"19\r\n" + BODY + b"\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n"}
    bad = {"0x": b"0x19\r\n" + BODY, "a blank in front": b" 19\r\n" + BODY, "a blank behind": b"19 \r\n" + BODY, "a minus": b"-19\r\n" + BODY,
           "a plus": b"+19\r\n" + BODY, "no number": b"g\r\n" + BODY, "no size": b"\r\n" + BODY, "an underscore": b"1_9\r\n" + BODY,
           "16 digits": b"f" * 16 + b"\r\n" + BODY, "17 digits that wrap": b"10000000000000019\r\n" + BODY, "40 zeros": b"0" * 40 + b"19\r\n" + BODY,
           "size ends in LF": b"19\n" + BODY + b"\r\n0\r\n\r\n", "size ends in CR": b"19\r" + BODY + b"\r\n0\r\n\r\n", "size ends in CR CR LF": b"19\r\r\n" + BODY,
           "LF in an extension": b"19;a\nb\r\n" + BODY, "NUL in an extension": b"19;a\0b\r\n" + BODY, "CR in an extension": b"19;a\rb\r\n" + BODY,
           "an extension of 10,000 bytes": b"19;" + b"a" * 10000 + b"\r\n" + BODY, "data without an end": b"19\r\n" + BODY + b"0\r\n\r\n",
           "data ends in LF": b"19\r\n" + BODY + b"\n0\r\n\r\n", "data longer than its size": b"18\r\n" + BODY + b"\r\n0\r\n\r\n",
           "data shorter than its size": b"1a\r\n" + BODY + b"\r\n0\r\n\r\n", "bare LF at the end": b"19\r\n" + BODY + b"\r\n0\n\n",
           "a folded trailer": b"19\r\n" + BODY + b"\r\n0\r\nX: y\r\n z\r\n\r\n", "a trailer that begins with a blank": b"19\r\n" + BODY + b"\r\n0\r\n X: y\r\n\r\n",
           "a trailer with LF": b"19\r\n" + BODY + b"\r\n0\r\nX: y\n\r\n", "a trailer with NUL": b"19\r\n" + BODY + b"\r\n0\r\nX: \0\r\n\r\n",
           "trailers of 20,000 bytes": b"19\r\n" + BODY + b"\r\n0\r\n" + b"X: %b\r\n" % (b"y" * 20000) + b"\r\n",
           "a comma": b"19,19\r\n" + BODY, "letters that are no digits": b"1\xb9\r\n" + BODY}
    return ([(f"chunks: {name}", sent(body), OK) for name, body in good.items()]
            + [(f"chunks: {name}", sent(body + AFTER), BAD) for name, body in bad.items()])


def fields() -> list[Case]:
    """Field names, values, line ends (RFC 9110, 5; RFC 9112, 2.2 and 5)."""
    cases: list[Case] = [("value of other letters", get("X: \xfc\xff"), OK), ("tabs and blanks", get("X:\ta \t b\t"), OK), ("no value", get("X:"), OK),
                         ("the same field twice", get("X: a", "X: b"), OK), ("a colon in the value", get("X: a:b:c"), OK)]
    cases += [(f"byte {byte:#04x} in a value", get(b"X: a" + bytes([byte]) + b"b"), BAD) for byte in (0, 1, 7, 8, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f)]
    cases += [(f"byte {byte:#04x} in a name", get(b"X" + bytes([byte]) + b"Y: a"), BAD)
              for byte in (0, 1, 9, 0x0b, 0x1f, 0x20, 0x7f, 0x80, 0xff, *b'()<>@,;\\"/[]?={}')]
    cases += [("a line without a colon", get("nothing"), BAD), ("an empty name", get(": a"), BAD), ("blank and colon", get(" : a"), BAD),
              ("a folded line", get("X: a\r\n b"), BAD), ("a line folded with a tab", get("X: a\r\n\tb"), BAD), ("the first line folded", get(" X: a"), BAD),
              ("a bare LF ends a line", get("X: a\nY: b"), BAD), ("a bare CR in a value", get("X: a\rY: b"), BAD), ("CR CR LF", get("X: a\r"), BAD),
              ("LF LF ends the head", f"GET {READ} HTTP/1.1\nHost: gate\n\n".encode(), BAD),
              ("LF CR LF ends the head", f"GET {READ} HTTP/1.1\r\nHost: gate\n\r\n".encode(), BAD),
              ("CR ends lines", f"GET {READ} HTTP/1.1\rHost: gate\r\r".encode() + b"\n\n", BAD),
              ("257 fields", get(*(f"X{number}: a" for number in range(257))), BAD),
              ("90 fields", get(*(f"X{number}: a" for number in range(90))), OK),
              ("a field of 60,000 bytes", get("X: " + "a" * 60000), OK),
              ("a field of 100,000 bytes", get("X: " + "a" * 100000), BIG),
              ("a name of 100,000 bytes", get("X" * 100000 + ": a"), BIG),
              ("20,000 fields", get(*(f"X{number}: a" for number in range(20000))), BIG)]
    hosts = {"no Host": get(host=False), "two Hosts": get("Host: gate"), "two other Hosts": get("Host: other"), "a Host with a blank": get("Host: ga te", host=False),
             "a Host with a path": get("Host: gate/x", host=False), "a Host with a name and a password": get("Host: me:pw@gate", host=False),
             "two Hosts in one": get("Host: gate, other", host=False), "a Host with a question": get("Host: gate?x", host=False),
             "a Host with a number sign": get("Host: gate#x", host=False), "a Host of other letters": get("Host: g\xe4te", host=False),
             "an empty Host": get("Host:", host=False), "a Host of 300 bytes": get("Host: " + "a" * 300, host=False), "a blank before the colon": get("Host : gate", host=False),
             "a Host with a backslash": get("Host: gate\\x", host=False), "a Host with percents": get("Host: g%61te", host=False)}
    cases += [(name, sent, BAD) for name, sent in hosts.items()]
    cases += [("a Host with a port", get("Host: gate:8443", host=False), OK), ("a Host that is an address", get("Host: [::1]:8443", host=False), OK)]
    return cases


def lines() -> list[Case]:
    """Request lines: methods, targets, versions (RFC 9112, 3)."""
    def line(text: str | bytes) -> bytes:
        return raw(text) + b"\r\nHost: gate\r\n\r\n"

    cases: list[Case] = [(f"request line {text[:40]!r}", line(text), BAD) for text in (
        f"GET {READ}", f"GET {READ} HTTP/2.0", f"GET {READ} HTTP/0.9", f"GET {READ} HTTP/1.2", f"GET {READ} HTTP/1.10", f"GET {READ} HTTP/01.1",
        f"GET {READ} http/1.1", f"GET {READ} HTTP/1", f"GET {READ} HTTP/ 1.1", f"GET {READ} HTTP/1.1 ", f"GET {READ} HTTP/1.1 x", f"GET  {READ} HTTP/1.1",
        f"GET {READ}  HTTP/1.1", f"GET\t{READ}\tHTTP/1.1", f" GET {READ} HTTP/1.1", f"GET{READ} HTTP/1.1", "GET", "", "GET  HTTP/1.1", f"{READ} HTTP/1.1",
        f"G\0ET {READ} HTTP/1.1", f"GET\x0b{READ} HTTP/1.1", f"G(T {READ} HTTP/1.1", f"GET {READ}\0 HTTP/1.1", f"GET {READ} XTTP/1.1", f"GET {READ} HTTP/1.1\x0b",
        "PRI * HTTP/2.0", "HTTP/1.1 200 OK", f"GET {READ}\xa0HTTP/1.1", f"GET {READ} HTTP/1.-1", f"GET {READ} HTTP/11", f"\xffGET {READ} HTTP/1.1")]
    cases += [(f"target {target[:40]!r}", get(target=target), BAD) for target in (
        "*", "gate:443", "api/models/demo/clean", "?x", "/a b", "/a\x01b", "/a\x7fb", "/a\xffb", "/%", "/%2", "/%zz", "/%00", "/a%0d%0ab", "/..", "/../x", "/a/../b",
        "/a/..", "/./a", "/a/.", "/%2e%2e/x", "/%2E./x", "/..%2fx", "/a%2fb", "/%5c..%5cx", "/%252e%252e/x", "/\\..\\x", "/a#b", "/%7f", "/%c0%ae%c0%ae/x",
        f"http://other.example{READ}", f"https://other.example{READ}", f"ftp://gate{READ}", "http:///x", "http://gate", f"http://me:pw@gate{READ}",
        f"http://gate:99999{READ}", "//other.example/x")]
    cases += [("HTTP/1.0", get(version="HTTP/1.0"), OK), ("HTTP/1.0 without Host", get(version="HTTP/1.0", host=False), OK),
              ("a target of 100,000 bytes", get(target="/" + "a" * 100000), BIG),
              ("an unknown method", head("BREW", READ, "HTTP/1.1", ["Host: gate"]), (403,)), ("get", head("get", READ, "HTTP/1.1", ["Host: gate"]), (403,)),
              ("TRACE", head("TRACE", READ, "HTTP/1.1", ["Host: gate"]), (403,)), ("CONNECT without a proxy", head("CONNECT", "other.example:443", "HTTP/1.1", ["Host: other.example:443"]), BAD),
              ("TLS where none is spoken", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32), ()), ("SOCKS", b"\x05\x01\x00", ()),
              ("a head that never ends", f"GET {READ} HTTP/1.1\r\nHost: gate\r\nX: ".encode(), ()), ("nothing", b"", ()), ("an empty line first", b"\r\n" + get(), BAD)]
    return cases


def meanings() -> list[Case]:
    """Fields that ask for another protocol, or to lose what counts."""
    return [("an upgrade to WebSocket", get("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), OK),
            ("an upgrade to h2c", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), OK),
            ("Connection names Host", get("Connection: Host"), OK),
            ("Connection names Content-Length", post("Connection: Content-Length", "Content-Length: 25", body=BODY), OK),
            ("Connection: close and another request", get("Connection: close") + AFTER, OK),
            ("Expect of something else", post("Expect: 200-ok", "Content-Length: 25", body=BODY + AFTER), BAD),
            ("a method to put in place of another", post("X-HTTP-Method-Override: DELETE", "Content-Length: 25", body=BODY), OK),
            ("another path in a field", get(f"X-Original-URL: {SMUGGLED}", f"X-Rewrite-URL: {SMUGGLED}"), OK),
            ("another host in a field", get("X-Forwarded-Host: other.example", "Forwarded: host=other.example"), OK),
            ("an encoding of the body", post("Content-Encoding: gzip", "Content-Length: 25", body=BODY), (415,)),
            ("a body with DELETE", head("DELETE", READ, "HTTP/1.1", ["Host: gate", "Content-Length: 92"]) + AFTER, (403,))]


def table() -> list[Case]:
    return [*lengths(), *encodings(), *chunks(), *fields(), *lines(), *meanings()]
