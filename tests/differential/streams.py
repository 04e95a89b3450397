"""Pickle streams for the differential tests, the same at every run. Nothing here loads a pickle."""
import pickle
import pickletools
import random
import struct

NAMES = [(f"{'abcd'[i % 4]}.pack", f"f{i}") for i in range(8)] + [("__builtin__", "reduce"), ("copy_reg", "_reconstructor"),
                                                               ("collections", "OrderedDict"), ("itertools", "imap")]


def plain(chooser: random.Random, depth: int = 0):
    """Harmless data: what json could hold, and bytes, tuples, sets and large numbers."""
    kind = chooser.randrange(14 if depth < 4 else 8)
    if kind == 0:
        return chooser.choice([None, True, False])
    if kind == 1:
        return chooser.choice([0, 1, 255, 256, 65535, 65536, -1, 2**31 - 1, 2**31, -(2**31), 2**63, -(2**70), 2**2100])
    if kind == 2:
        return chooser.choice([0.0, -0.0, 1.5, 1e300, float("inf")])
    if kind in (3, 4):
        return "".join(chooser.choice(["a", "b", "\n", "\\", "é", "\u4e2d", "\0", "'", "x" * 90]) for _ in range(chooser.randrange(12)))
    if kind in (5, 6):
        return bytes(chooser.randrange(256) for _ in range(chooser.choice([0, 1, 5, 200, 300])))
    if kind == 7:
        return bytearray(b"abc" * chooser.randrange(9))
    items = [plain(chooser, depth + 1) for _ in range(chooser.randrange(5))]
    if kind in (8, 9):
        return items * chooser.choice([1, 1, 3])
    if kind in (10, 11):
        return tuple(items)
    if kind == 12:
        return {chooser.randrange(1000): item for item in items}
    return {chooser.randrange(50) for _ in range(4)}


def dumps(chooser: random.Random) -> bytes:
    data = pickle.dumps(plain(chooser), protocol=chooser.randrange(6))
    return pickletools.optimize(data) if chooser.randrange(4) == 0 else data


def mutate(chooser: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(chooser.choice([1, 1, 2, 5])):
        at = chooser.randrange(len(out) + 1)
        action = chooser.randrange(5)
        if action == 0 and at < len(out):
            out[at] = chooser.randrange(256)
        elif action == 1:
            out[at:at] = bytes([chooser.randrange(256)])
        elif action == 2 and at < len(out):
            del out[at]
        elif action == 3:
            out[at:at] = chooser.choice(OPCODES)
        else:
            del out[at:]
    return bytes(out)


OPCODES = [op.code.encode("latin1") for op in pickletools.opcodes] + [
    b"I0x10\n", b"I010\n", b"L0x10L\n", b"I1_0\n", b"I 7 \n", b"I+0\n", b"I01\n", b"F1.5\n", b"F nan\n", b"L-7\n", b"p5\n", b"g5\n", b"g 5\n",
    b"Vtext\\u1234\n", b"S'text'\n", b'S"x\\x41"\n', b"S'open\n", b"Pid\n", b"cmod\nname\n", b"imod\nname\n", b"\x84\xff\xff\xff\xff", b"\x84\x01\0\0\0",
    b"T\xff\xff\xff\xff", b"\x8b\x02\0\0\0\x01\x02", b"\x8b\0\0\0\x80", b"\x95" + struct.pack("<Q", 3), b"\x95" + struct.pack("<Q", 1 << 40), b"\x80\x02", b"\x80\x09"]


def program(chooser: random.Random) -> bytes:
    """A random pickle that calls, memoizes and discards, mostly with a sound stack."""
    protocol = chooser.choice([0, 2, 3, 4, 5])
    out = bytearray() if protocol == 0 else bytearray([0x80, protocol])
    depth, marks, memo = 0, [], 0

    def name():
        nonlocal depth
        module, attribute = chooser.choice(NAMES)
        if chooser.randrange(2):
            out.extend(f"c{module}\n{attribute}\n".encode())
        else:
            for text in (module, attribute):
                out.extend(b"\x8c" + bytes([len(text)]) + text.encode())
                if chooser.randrange(3) == 0:
                    out.append(0x94)
                    bump()
            out.append(0x93)
        depth += 1

    def bump():
        nonlocal memo
        memo += 1

    def above():
        return depth - (marks[-1] if marks else 0)

    for _ in range(chooser.randrange(5, 60)):
        kind = chooser.randrange(20)
        if kind < 4:
            name()
        elif kind == 4:
            out.extend(b"K" + bytes([chooser.randrange(256)]))
            depth += 1
        elif kind == 5:
            out.extend(chooser.choice([b")", b"]", b"}", b"\x8f", b"N", b"\x88"]))
            depth += 1
        elif kind == 6 and above() >= 1:
            out.append(0x85)
        elif kind == 7 and above() >= 2:
            out.append(0x86)
            depth -= 1
        elif kind in (8, 9, 10) and above() >= 1:
            if chooser.randrange(8):
                out.extend(b")" if chooser.randrange(2) else b"K\x01\x85")
                out.append(chooser.choice(b"R\x81"))
            elif above() >= 2:
                out.append(ord("R"))
                depth -= 1
        elif kind == 11 and above() >= 1:
            out.extend(b"}b")
        elif kind == 12 and above() >= 1:
            out.append(0x94)
            bump()
        elif kind == 13 and above() >= 1:
            index = chooser.randrange(20)
            out.extend(b"q" + bytes([index]) if chooser.randrange(2) else b"p%d\n" % index)
        elif kind == 14 and memo:
            index = chooser.randrange(memo + 1)
            out.extend(b"h" + bytes([index]) if chooser.randrange(2) else b"j" + struct.pack("<I", index))
            depth += 1
        elif kind == 15:
            out.append(ord("("))
            marks.append(depth)
        elif kind == 16 and marks:
            how = chooser.randrange(4)
            if how == 0:
                out.append(ord("t"))
                depth = marks.pop() + 1
            elif how == 1:
                out.append(ord("1"))
                depth = marks.pop()
            elif how == 2:
                module, attribute = chooser.choice(NAMES)
                out.extend(f"i{module}\n{attribute}\n".encode())
                depth = marks.pop() + 1
            elif above() >= 1:
                out.append(ord("o"))
                depth = marks.pop() + 1
        elif kind == 17 and above() >= 1:
            out.append(ord("0"))
            depth -= 1
        elif kind == 18 and above() >= 1:
            out.append(ord("2"))
            depth += 1
        elif kind == 19 and above() >= 1:
            out.extend(b"Na" if chooser.randrange(2) else b"K\x05Ns")
    out.extend(b"N.")
    return bytes(out)


def corpus(count: int, seed: int) -> list[bytes]:
    chooser = random.Random(seed)
    out = []
    for index in range(count):
        data = dumps(chooser) if index % 3 else program(chooser)
        out.append(mutate(chooser, data) if chooser.randrange(4) else data)
    return out
