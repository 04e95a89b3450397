"""make_frames.py OUT: pandas frames and series of every type, and scipy's sparse matrices."""
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import scipy.sparse

out = Path(sys.argv[1])
days = pd.date_range("2024-01-01", periods=6)
frame = pd.DataFrame({"n": np.arange(6), "x": np.linspace(0, 1, 6), "s": list("abcdef"), "b": [True, False] * 3, "d": days,
                      "c": pd.Categorical(list("xyxyxy")), "i": pd.array([1, None, 3, 4, 5, 6], dtype="Int64"), "t": days - days[0],
                      "z": days.tz_localize("UTC"), "p": days.to_period("M"), "o": [None, 1, "a", 2.5, (1, 2), {"k": [1]}],
                      "f": pd.array([1.5, None] * 3, dtype="Float64"), "k": pd.array([True, None] * 3, dtype="boolean"),
                      "q": pd.array(list("abcdef"), dtype="string")})
values = {
    "frame": frame, "empty": pd.DataFrame(), "series": frame["x"], "strings": frame["s"], "categories": frame["c"],
    "multi": frame.set_index(["n", "s"])[["x", "b"]], "wide": pd.DataFrame(np.random.default_rng(8).random((50, 20))),
    "intervals": pd.cut(frame["x"], 3), "sparse_frame": pd.DataFrame({"a": pd.arrays.SparseArray([0, 0, 1])}),
    "index": [pd.Index([1, 2]), pd.RangeIndex(5), days, pd.MultiIndex.from_product([[1, 2], ["a"]]), pd.CategoricalIndex(list("ab")),
              pd.timedelta_range("1D", periods=3), pd.period_range("2024", periods=3, freq="M"), pd.interval_range(0, 3)],
    "scalars": [pd.Timestamp("2024-01-01", tz="UTC"), pd.Timedelta("1D"), pd.NaT, pd.NA, pd.Period("2024-01", "M"), pd.Interval(0, 1), pd.offsets.BDay(2)],
}
for kind in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok"):
    for form in ("matrix", "array"):
        values[f"{kind}_{form}"] = getattr(scipy.sparse, f"{kind}_{form}")(np.eye(4))
for name, value in values.items():
    for protocol in (2, 4, 5):
        (out / f"{name}.protocol{protocol}.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
frame.to_pickle(out / "to_pickle.pkl")
frame.to_pickle(out / "to_pickle.pkl.gz")
joblib.dump(values, out / "all.joblib")
