"""make_tables.py OUT: Parquet, ORC, Avro, Arrow, Feather, CSV and SQLite as pyarrow, fastparquet, polars and pandas write them."""
import pickle
import sqlite3
import sys
from pathlib import Path

import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.orc as orc
import pyarrow.parquet as pq

out = Path(sys.argv[1])
chooser = np.random.default_rng(1)
rows = 3000
words = ["alpha", "beta", "", "gamma delta", "ignore this", "=not a formula", "+49 30 1234"]
table = pa.table({
    "id": np.arange(rows),
    "score": chooser.random(rows),
    "flag": chooser.random(rows) > 0.5,
    "text": [words[i % len(words)] + str(i % 50) if i % 11 else None for i in range(rows)],
    "long": ["row %d " % i + "many words " * (i % 40) for i in range(rows)],
    "bytes": [bytes(chooser.integers(0, 256, size=i % 60, dtype=np.uint8)) for i in range(rows)],
    "digest": pa.array([bytes(chooser.integers(0, 256, size=20, dtype=np.uint8)) for _ in range(rows)], pa.binary(20)),
    "list": pa.array([[str(j) for j in range(i % 4)] if i % 7 else None for i in range(rows)], pa.list_(pa.string())),
    "nested": pa.array([{"a": i, "b": {"c": [f"x{i}", None]}} for i in range(rows)]),
    "map": pa.array([[("k", i)] for i in range(rows)], pa.map_(pa.string(), pa.int64())),
    "when": pa.array(np.arange(rows), pa.timestamp("us", tz="UTC")),
    "decimal": pa.array([None] * rows, pa.decimal128(20, 3)),
    "category": pa.array([words[i % 3] for i in range(rows)]).dictionary_encode(),
    "pickled": [pickle.dumps({"index": i, "values": [1.5, 2.5]}) for i in range(rows)],
    "array": [pickle.dumps(np.arange(3)) if i % 100 == 0 else None for i in range(rows)],
})
plain = table.drop_columns(["array"])
for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli"):
    pq.write_table(table, out / f"arrow_{codec}.parquet", compression=codec, row_group_size=1000)
pq.write_table(table, out / "arrow_pages_v2.parquet", data_page_version="2.0", compression="snappy", data_page_size=4096)
pq.write_table(table, out / "arrow_index.parquet", write_page_index=True, write_page_checksum=True, compression="zstd")
pq.write_table(plain, out / "arrow_delta.parquet", use_dictionary=False, data_page_version="2.0",
               column_encoding={"text": "DELTA_BYTE_ARRAY", "long": "DELTA_LENGTH_BYTE_ARRAY", "bytes": "DELTA_BYTE_ARRAY",
                                "id": "DELTA_BINARY_PACKED", "digest": "BYTE_STREAM_SPLIT", "score": "BYTE_STREAM_SPLIT"})
pq.write_table(table.slice(0, 0), out / "arrow_no_rows.parquet")
extended = pa.table({"uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(range(16))] * 4, pa.binary(16))),
                     "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}'] * 4)),
                     "tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((4, 2, 2), dtype=np.float32))})
pq.write_table(extended, out / "arrow_extensions.parquet")
frame = pd.DataFrame({"a": np.arange(50), "b": ["x"] * 50, "p": pd.period_range("2020-01", periods=50, freq="M"),
                      "i": pd.interval_range(0, 50)}, index=pd.MultiIndex.from_product([range(10), list("abcde")]))
frame.to_parquet(out / "pandas.parquet")
simple = pd.DataFrame({"a": np.arange(500), "b": ["x%d" % (i % 9) for i in range(500)], "c": [b"y" * (i % 5) for i in range(500)],
                       "d": pd.Categorical(["u", "v"] * 250)})
for codec in ("SNAPPY", "GZIP", "ZSTD", "LZ4"):
    fastparquet.write(str(out / f"fast_{codec}.parquet"), simple, compression=codec)
pl.DataFrame({"a": range(1000), "s": [words[i % 7] for i in range(1000)], "l": [[1, 2]] * 1000,
              "c": pl.Series(["x", "y"] * 500, dtype=pl.Categorical)}).write_parquet(out / "polars.parquet")
pl.DataFrame({"a": range(1000), "s": ["text %d" % i for i in range(1000)]}).write_ipc(out / "polars.arrow", compression="lz4")

flat = table.select(["id", "score", "flag", "text", "long", "bytes", "list", "nested", "when"])
for codec in ("uncompressed", "zlib", "snappy", "lz4", "zstd"):
    orc.write_table(flat, out / f"{codec}.orc", compression=codec, stripe_size=100_000)
rowwise = pl.DataFrame({"a": range(5000), "s": ["text %d" % (i % 700) for i in range(5000)], "b": [b"y" * (i % 9) for i in range(5000)]})
for codec in ("uncompressed", "snappy", "deflate"):
    rowwise.write_avro(out / f"{codec}.avro", compression=codec)

for codec in (None, "lz4", "zstd"):
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.ipc.new_file(out / f"file_{codec}.arrow", table.schema, options=options) as writer:
        writer.write_table(table, 1000)
    with pa.ipc.new_stream(out / f"stream_{codec}.arrow", table.schema, options=options) as writer:
        writer.write_table(table, 1000)
views = pa.table({"v": pa.array([w * 9 for w in words], pa.string_view()), "b": pa.array([b"x" * 40] * 7, pa.binary_view()),
                  "large": pa.array(words, pa.large_string()), "run": pa.RunEndEncodedArray.from_arrays([3, 7], ["a", "b"]),
                  "union": pa.UnionArray.from_dense(pa.array([0, 1, 0, 1, 0, 1, 0], pa.int8()), pa.array([0, 0, 1, 1, 2, 2, 3], pa.int32()),
                                                    [pa.array([1, 2, 3, 4]), pa.array(["x", "y", "z"])])})
with pa.ipc.new_file(out / "types.arrow", views.schema) as writer:
    writer.write_table(views)
with pa.ipc.new_file(out / "extensions.arrow", extended.schema) as writer:
    writer.write_table(extended)
with pa.ipc.new_file(out / "empty.arrow", table.schema) as writer:
    pass
feather.write_feather(simple, out / "two.feather")
feather.write_feather(simple, out / "plain.feather", compression="uncompressed")
feather.write_feather(simple.drop(columns="c"), out / "one.feather", version=1)

simple.drop(columns="c").to_csv(out / "simple.csv", index=False)
pd.DataFrame({"t": words + ["-5", "+1.5e3", "@handle", "=", "-", "a,b", 'say "x"', "line\nbreak"]}).to_csv(out / "words.csv")
simple.to_csv(out / "simple.tsv", sep="\t")
simple.drop(columns="c").to_json(out / "rows.jsonl", orient="records", lines=True)
base = sqlite3.connect(out / "base.sqlite")
base.executescript("create table t(a integer primary key, b text, c blob); create index i on t(b); create view v as select a from t;"
                   "create trigger g after insert on t begin update t set b = 'x' where a = new.a; end;"
                   "create virtual table f using fts5(body); create table w(k text primary key, v) without rowid;")
base.executemany("insert into t(b, c) values(?, ?)", [("row %d" % i, bytes([i % 256]) * (i * 7 % 9000)) for i in range(1500)])
base.executemany("insert into f values(?)", [("some text %d" % i,) for i in range(200)])
base.executemany("insert into w values(?, ?)", [("k%d" % i, b"z" * i) for i in range(300)])
base.execute("insert into t(b, c) values('pickle', ?)", (pickle.dumps({"a": [1, 2]}),))
base.execute("delete from t where a % 3 = 0")
base.commit()
base.close()
