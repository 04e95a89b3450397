"""make_numpy.py OUT: npy and npz of numbers, and pickled arrays, as numpy writes them."""
import pickle
import sys
from pathlib import Path

import numpy as np

out = Path(sys.argv[1])
chooser = np.random.default_rng(1)
for name in ("float16", "float32", "float64", "int8", "uint16", "int64", "complex64", "bool"):
    np.save(out / f"{name}.npy", (chooser.random((17, 5)) * 100).astype(name))
np.save(out / "scalar.npy", np.array(3.5))
np.save(out / "empty.npy", np.zeros((0, 4)))
np.save(out / "fortran.npy", np.asfortranarray(chooser.random((30, 7))))
np.save(out / "text.npy", np.array(["one", "two", "drei"]))
np.save(out / "record.npy", np.array([(1, 2.0, b"x")], dtype=[("a", "<i4"), ("b", "<f8"), ("c", "S4")]))
np.save(out / "dates.npy", np.array(["2024-01-01", "2025-05-05"], dtype="datetime64[D]"))
np.save(out / "large.npy", chooser.random((1200, 1100)))
np.savez(out / "stored.npz", a=chooser.random(100), b=np.arange(10), sub__c=np.eye(3))
np.savez_compressed(out / "deflated.npz", a=np.zeros((1000, 1000)), b=np.arange(10))
for protocol in range(6):
    value = {"weights": chooser.random((20, 20)), "scalar": np.float32(2.5), "dtype": np.dtype("<f4"), "index": np.arange(4)}
    (out / f"protocol{protocol}.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
