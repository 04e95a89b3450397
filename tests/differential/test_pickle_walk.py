"""The pickle machine beside CPython: the same opcodes at the same places, and no call unseen.

pickletools.genops is stricter than the C unpickler in a few places; each is a predicate here, with
the issue of CPython that describes it. The calls are compared with CPython's own _Unpickler in
Python, whose every way to a real object is cut: names resolve to recorders, nothing is imported,
built or called.
"""
import io
import os
import pickle
import pickletools
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from fixtures.registry import FIXTURES, load_families  # noqa: E402
from streams import corpus, program  # noqa: E402

WALK = os.environ.get("PICKLE_WALK", str(ROOT / "build/release/tests/differential/pickle_walk"))
LIMIT = 1 << 20


class Seen:
    def __init__(self):
        self.ops, self.calls, self.value, self.findings, self.gaps = [], [], None, [], []
        self.end, self.end_at = None, 0


def machine(streams: list[bytes]) -> list[Seen]:
    fed = b"".join(struct.pack("<I", len(data)) + data for data in streams)
    done = subprocess.run([WALK], input=fed, capture_output=True, check=True)
    out = []
    for line in done.stdout.decode("utf-8", "surrogateescape").split("\n"):
        word, _, rest = line.partition(" ")
        if word == "stream":
            out.append(Seen())
        elif word == "op":
            out[-1].ops.append(tuple(map(int, rest.split())))
        elif word == "call":
            out[-1].calls.append(bytes.fromhex(rest).decode("utf-8", "replace"))
        elif word == "value":
            out[-1].value = rest.split(" ")
        elif word == "end":
            out[-1].end, out[-1].end_at = rest.split()[0], int(rest.split()[1])
        elif word == "finding":
            out[-1].findings.append(rest)
        elif word == "gap":
            out[-1].gaps.append(rest)
    assert len(out) == len(streams)
    return out


# --- opcodes ------------------------------------------------------------------------------------

def genops(data: bytes):
    """[(offset, code)], and the offset at which pickletools stopped with an error, or None."""
    ops, stream = [], io.BytesIO(data)
    try:
        for opcode, _, position in pickletools.genops(stream):
            ops.append((position, ord(opcode.code)))
    except Exception:
        # The opcode that failed begins behind the last good one, where that one ended.
        return ops, True
    return ops, False


def line_at(data: bytes, offset: int) -> bytes:
    return data[offset + 1:].split(b"\n")[0]


def stricter(data: bytes, offset: int) -> str | None:
    """Why pickletools refuses the opcode at `offset` though C takes it."""
    code, line = data[offset:offset + 1], line_at(data, offset)
    if code in (b"I", b"L") and re.match(rb"[+-]?0[xXoObB]|[+-]?0[0-9_]", line.strip()):
        return "cpython 126992: other bases"
    if code in (b"I", b"L", b"F", b"g", b"p") and b"\0" in line:
        return "cpython 126996: NUL in a number"
    if code == b"S":
        return "cpython 88154: codecs.escape_decode and quotes; C decodes later"
    if code in (b"V", b"X", b"\x8c", b"\x8d", b"U", b"T", b"P", b"c", b"i", b"S"):
        return "decoding: pickletools decodes at once, C may hand on bytes"
    if code in (b"g", b"p", b"I", b"L", b"F"):
        return "blanks and signs: int() and strtol() differ"
    return None


def test_opcodes_are_where_pickletools_sees_them():
    streams = corpus(6000, 1)
    compared = 0
    for data, seen in zip(streams, machine(streams)):
        ops, failed = genops(data)
        for mine, theirs in zip(seen.ops, ops):
            assert mine == theirs, (data, mine, theirs)
            compared += 1
        if len(seen.ops) < len(ops):
            # The machine checks the stack, which genops does not: it may end earlier, saying so.
            assert seen.end in ("broken", "truncated", "budget"), (data, seen.end)
            assert seen.end_at == ops[len(seen.ops)][0] or seen.end_at > ops[len(seen.ops)][0], data
        elif len(seen.ops) > len(ops):
            assert failed, data
            assert stricter(data, seen.ops[len(ops)][0]), (data, seen.ops[len(ops)])
    assert compared > 50_000


def test_whole_pickles_end_at_their_stop():
    import random

    from streams import dumps
    chooser = random.Random(7)
    streams = [dumps(chooser) for _ in range(1500)]
    for data, seen in zip(streams, machine(streams)):
        assert (seen.end, seen.end_at) == ("stop", len(data)), data
        assert seen.ops == genops(data)[0]
        # Two opcodes alone (`I1\n.`) are left to whatever else claims them.
        assert seen.findings == [] and (seen.gaps == [] or len(seen.ops) < 3), (data, seen.findings, seen.gaps)


@pytest.mark.parametrize("protocol", range(6))
def test_values_are_what_was_pickled(protocol):
    values = [0, 1, 255, 256, -1, 65536, 2**31 - 1, -(2**31), 2**31, 2**62, -(2**63), "", "text", "n\u00e4chste\n\\", "\u4e2d\U0001f600", "x" * 300]
    if protocol >= 3:
        values += [b"", b"\0\xff", b"y" * 300]
    streams = [pickle.dumps(value, protocol=protocol) for value in values]
    for value, seen in zip(values, machine(streams)):
        if isinstance(value, int):
            assert seen.value == ["integer", str(value)]
        else:
            raw = value.encode() if isinstance(value, str) else value
            assert seen.value == ["text" if isinstance(value, str) else "bytes", raw.hex()], value


# --- calls --------------------------------------------------------------------------------------

class Recorder:
    """Stands for whatever a pickle names or makes. Takes everything, does nothing."""

    def __init__(self, log, name):
        self.log, self.name = log, name

    def __call__(self, *args, **kwargs):
        self.log.append(("call", self.name))
        return Recorder(self.log, "")

    def append(self, *_):
        pass

    extend = add = update = __setitem__ = append


class Inert(pickle._Unpickler):
    """CPython's unpickler in Python with everything that could reach a real object replaced."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, data):
        super().__init__(io.BytesIO(data), buffers=())
        self.log = []

    def find_class(self, module, name):
        if not isinstance(module, str) or not isinstance(name, str):
            raise pickle.UnpicklingError("name")
        if self.proto < 3:
            if (module, name) in NAME_MAPPING:
                module, name = NAME_MAPPING[module, name]
            elif module in IMPORT_MAPPING:
                module = IMPORT_MAPPING[module]
        self.log.append(("name", f"{module}.{name}"))
        return Recorder(self.log, f"{module}.{name}")

    def persistent_load(self, pid):
        return Recorder(self.log, "")

    def get_extension(self, code):
        self.append(Recorder(self.log, ""))

    def _instantiate(self, klass, args):
        self.append(self.called(klass, args))

    def called(self, function, args):
        if not isinstance(function, Recorder):
            raise TypeError("not callable")
        if not isinstance(args, (tuple, Recorder)):
            raise TypeError("arguments")
        return function()

    def load_reduce(self):
        args = self.stack.pop()
        self.stack[-1] = self.called(self.stack[-1], args)

    def load_newobj(self):
        args = self.stack.pop()
        self.append(self.called(self.stack.pop(), args))

    def load_newobj_ex(self):
        self.stack.pop()
        self.load_newobj()

    def load_build(self):
        self.stack.pop()
        if not isinstance(self.stack[-1], Recorder):
            raise AttributeError("state")


    def load_bytearray8(self):
        size = struct.unpack("<Q", self.read(8))[0]
        if size > LIMIT:
            raise pickle.UnpicklingError("too large")
        self.append(bytearray(self.read(size)))

    for _code, _load in ((b"R", load_reduce), (b"\x81", load_newobj), (b"\x92", load_newobj_ex), (b"b", load_build), (b"\x96", load_bytearray8)):
        dispatch[_code[0]] = _load


def recorded(data: bytes) -> list:
    unpickler = Inert(data)
    try:
        unpickler.load()
    except Exception:
        pass
    return unpickler.log


def check_calls(streams):
    total = 0
    for data, seen in zip(streams, machine(streams)):
        log = recorded(data)
        calls = [name for what, name in log if what == "call" and name]
        rest = iter(seen.calls)
        for name in calls:
            assert any(name == mine for mine in rest), (data, name, calls, seen.calls)
            total += 1
        if not calls and not data.startswith(b"\x80"):
            continue  # two words on two lines and then nonsense: any list of words imports as much
        # Whatever else was named shows in a finding, or is known to be harmless.
        text = " ".join(seen.findings)
        for name in {name for what, name in log if what == "name"}:
            if re.search(r"[^\w.]", name) or name in HARMLESS:
                continue
            assert name in text or seen.gaps or len(text) > 20_000, (data, name, seen.findings)
    return total


# What pickle.dumps() of plain data names, and what the random programs name of it.
HARMLESS = {"copyreg._reconstructor", "collections.OrderedDict", "_codecs.encode", "builtins.bytearray", "builtins.set", "builtins.bytes"}


def test_no_call_of_a_random_program_is_unseen():
    import random
    chooser = random.Random(3)
    streams = [program(chooser) for _ in range(4000)]
    assert check_calls(streams) > 2000


def test_no_call_of_a_mutated_stream_is_unseen():
    assert check_calls(corpus(4000, 11)) > 500


def test_no_call_of_a_fixture_is_unseen():
    load_families()
    names = [name for name in sorted(FIXTURES) if name.startswith("pkl_") and "_near." not in name]
    streams = [data for data in (FIXTURES[name]() for name in names) if len(data) < LIMIT]
    total = 0
    for name, data, seen in zip(names, streams, machine(streams)):
        calls = [called for what, called in recorded(data) if what == "call" and called]
        rest = iter(seen.calls)
        for called in calls:
            assert any(called == mine for mine in rest), (name, called, seen.calls)
            total += 1
    assert total > 600
