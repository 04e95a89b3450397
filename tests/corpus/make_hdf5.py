"""make_hdf5.py OUT: HDF5 files of h5py, pandas and PyTables, and MATLAB files of scipy."""
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.io
import tables

warnings.simplefilter("ignore")
out = Path(sys.argv[1])
chooser = np.random.default_rng(3)


def everything(file):
    """One of each kind of object."""
    numbers = chooser.random((60, 40))
    file["plain"] = numbers.astype("f4")
    file.create_dataset("packed", data=numbers, chunks=(16, 16), compression="gzip", shuffle=True, fletcher32=True)
    file.create_dataset("lzf", data=chooser.integers(0, 9, (60, 40)), chunks=(16, 16), compression="lzf")
    file.create_dataset("rows", data=numbers, maxshape=(None, 40), chunks=(4, 40))
    file.create_dataset("packed_rows", data=numbers, maxshape=(None, 40), chunks=(4, 40), compression="gzip")
    file.create_dataset("both", data=numbers, maxshape=(None, None), chunks=(8, 8))
    file.create_dataset("one_chunk", data=numbers, chunks=numbers.shape, compression="gzip")
    file.create_dataset("never_written", (1000, 1000), dtype="f4")
    file.create_dataset("scaled", data=chooser.integers(0, 9, (60, 40)), scaleoffset=0)
    file["scalar"], file["text"], file["opaque"] = 3.0, "a text of some length", np.void(chooser.bytes(500))
    file.create_dataset("texts", data=[f"a text with the number {i}" for i in range(500)], dtype=h5py.string_dtype())
    file.create_dataset("fixed", data=np.array([b"abc%d" % i for i in range(500)]), chunks=(100,), compression="gzip")
    file.create_dataset("images", data=chooser.integers(0, 255, (20, 16, 16, 3), dtype="u1"), compression="gzip")
    file["flags"], file["complex"], file["half"] = np.array([True, False] * 40), np.zeros(30, "c8"), np.zeros(4, "f2")
    file["records"] = np.zeros(30, dtype=[("a", "f4"), ("b", "S10"), ("c", "i2", (3,)), ("d", h5py.enum_dtype({"X": 1, "Y": 2}))])
    file.create_dataset("reference", data=file["plain"].ref, dtype=h5py.ref_dtype)
    ragged = file.create_dataset("ragged", (3,), dtype=h5py.vlen_dtype("i4"))
    ragged[0] = [1, 2, 3]
    many = file.create_group("many")
    for i in range(200):
        many.attrs[f"attribute_{i}"] = f"value {i}"
        many.create_group(f"group_{i}")
    file.attrs["numbers"], file.attrs["long"], file.attrs["list"] = np.arange(100), "x" * 50000, ["abc", "def" * 20]
    file["hard"], file["soft"] = file["plain"], h5py.SoftLink("/many/group_3")
    file["type"] = np.dtype([("x", "i4"), ("y", "f8")])
    file.create_dataset("typed", (10,), dtype=file["type"]).attrs.create("typed", 3.0, dtype="f8")


for version in ("earliest", "v108", "v110", "v112", "latest"):
    with h5py.File(out / f"everything_{version}.h5", "w", libver=(version, "latest")) as file:
        everything(file)
    with h5py.File(out / f"ordered_{version}.h5", "w", libver=(version, "latest"), track_order=True) as file:
        for i in range(50):
            file.create_group(f"g{i}")
            file.attrs[f"a{i}"] = i
    with h5py.File(out / f"edited_{version}.h5", "w", libver=(version, "latest")) as file:
        for i in range(60):
            file[f"d{i}"] = chooser.random(200)
            file.attrs[f"a{i}"] = "a text " * 20
        for i in range(0, 60, 2):
            del file[f"d{i}"], file.attrs[f"a{i}"]
with h5py.File(out / "huge_attributes.h5", "w", libver="latest") as file:
    for i in range(3):
        file.attrs[f"a{i}"] = np.arange(9000.0) + i
with h5py.File(out / "user_block.h5", "w", userblock_size=1024) as file:
    file["a"] = chooser.random(1000)
with h5py.File(out / "paged.h5", "w", fs_strategy="page", fs_persist=True) as file:
    file["a"], file["b"] = chooser.random(1000), chooser.random(100)
with h5py.File(out / "virtual.h5", "w") as file:
    file["source"] = chooser.random(100)
    layout = h5py.VirtualLayout((100,), "f8")
    layout[:] = h5py.VirtualSource(".", "source", (100,))
    file.create_virtual_dataset("view", layout)

frame = pd.DataFrame({"a": chooser.random(100), "s": [f"text {i}" for i in range(100)], "o": [{"k": i} for i in range(100)],
                      "t": pd.date_range("2020", periods=100), "c": pd.Categorical(["x", "y"] * 50)})
frame.drop(columns="c").to_hdf(out / "fixed.h5", key="df")
frame.drop(columns="o").to_hdf(out / "table.h5", key="df", format="table")
for codec in ("zlib", "blosc", "bzip2"):
    frame.drop(columns=["o", "c"]).to_hdf(out / f"table_{codec}.h5", key="df", format="table", complib=codec, complevel=5, data_columns=True)
pd.Series(["a", "b", None]).to_hdf(out / "series.h5", key="s")
with tables.open_file(out / "pytables.h5", "w") as file:
    file.root._v_attrs.note = {"a": 1, "b": [1, 2, 3]}
    rows = file.create_vlarray("/", "objects", tables.ObjectAtom())
    for i in range(5):
        rows.append({"number": i, "name": f"row {i}"})
    file.create_earray("/", "grows", tables.Float32Atom(), (0, 4), filters=tables.Filters(5, "blosc2")).append(np.zeros((100, 4), "f4"))

variables = {"x": chooser.random((10, 10)), "name": "a name that is long enough", "cells": np.array([1, "two", 3.0], object),
             "record": {"a": 1, "b": np.arange(5)}, "image": chooser.integers(0, 255, (8, 8), dtype="u1"), "flags": np.array([True, False])}
scipy.io.savemat(out / "level5.mat", variables)
scipy.io.savemat(out / "level5_packed.mat", variables, do_compression=True)
scipy.io.savemat(out / "level5_sparse.mat", {"s": scipy.sparse.csc_matrix(np.eye(5))})
scipy.io.savemat(out / "level4.mat", {"x": chooser.random((10, 10)), "name": "text"}, format="4")
