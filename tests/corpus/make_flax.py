"""make_flax.py OUT: checkpoints in the layout of flax.serialization (extension types 1 to 3), packed by the msgpack library itself."""
import sys
from pathlib import Path

import msgpack
import numpy as np

out = Path(sys.argv[1])
chooser = np.random.default_rng(8)


def leaf(value):
    if isinstance(value, (np.ndarray, np.generic)):
        kind = 1 if isinstance(value, np.ndarray) else 3
        array = np.asarray(value)
        return msgpack.ExtType(kind, msgpack.packb((array.shape, array.dtype.name, array.tobytes()), use_bin_type=True))
    if isinstance(value, complex):
        return msgpack.ExtType(2, msgpack.packb((value.real, value.imag)))
    raise TypeError(value)


def save(name: str, tree) -> None:
    (out / name).write_bytes(msgpack.packb(tree, default=leaf, strict_types=True))


layer = {"kernel": chooser.standard_normal((64, 32)).astype("float32"), "bias": np.zeros(32, "float32")}
save("flax_model.msgpack", {"params": {f"Dense_{i}": layer for i in range(20)}, "batch_stats": {"BatchNorm_0": {"mean": np.ones(8, "float16")}}})
save("state.msgpack", {"step": 1000, "params": layer, "opt_state": {"0": {"count": np.int32(3), "mu": layer, "nu": layer}, "1": {}}})
save("chunked.msgpack", {"big": {"__msgpack_chunked_array__": True, "shape": {"0": 128, "1": 128},
                                 "chunks": {str(i): chooser.standard_normal(8192).astype("float32") for i in range(2)}}})
save("mixed.msgpack", {"a": np.arange(5), "b": {"c": 1.5, "d": "name", "e": 1 + 2j, "f": None, "g": [1, 2], "h": True, "i": np.float64(2)}})
