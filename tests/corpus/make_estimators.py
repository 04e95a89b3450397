"""make_estimators.py OUT: every estimator of scikit-learn, fitted on a little data, by pickle and joblib."""
import pickle
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators

warnings.simplefilter("ignore")
out = Path(sys.argv[1])
chooser = np.random.default_rng(6)
x = chooser.random((60, 4))
y, numbers, pairs = np.arange(60) % 2, x @ [1, 2, 3, 4], np.stack([np.arange(60) % 2, np.arange(60) % 3 % 2], 1)
words = ["the gate stands", "the gate holds", "a model passes"] * 20
records = [{"a": 1.0, "b": i % 3} for i in range(60)]
INNER = {"estimator": LogisticRegression(), "base_estimator": LogisticRegression(), "estimators": [("a", LogisticRegression()), ("b", LogisticRegression())],
         "transformers": [("scale", StandardScaler(), [0, 1])], "transformer_list": [("scale", StandardScaler())], "steps": [("scale", StandardScaler())],
         "param_grid": {"C": [0.1, 1.0]}, "param_distributions": {"C": [0.1, 1.0]}, "dictionary": chooser.random((3, 4))}
TARGETS = ((x, y), (x, numbers), (x, pairs), (x, pairs.astype(float)), (words, y), (records, y), (x.round() + 1, y), (numbers, y), (x @ x.T, y), (y, y))
fitted = failed = 0
for name, kind in all_estimators():
    import inspect
    wanted = {key: INNER[key] for key, parameter in inspect.signature(kind).parameters.items() if key in INNER and parameter.default is parameter.empty}
    if "estimators" in wanted and issubclass(kind, __import__("sklearn.base").base.RegressorMixin):
        wanted["estimators"] = [("a", LinearRegression()), ("b", LinearRegression())]
    try:
        estimator = kind(**wanted)
    except Exception as error:
        print(f"{name}: {error}", file=sys.stderr)
        failed += 1
        continue
    for data, target in TARGETS:
        try:
            estimator = clone(estimator).fit(data, target)
            break
        except Exception:
            continue
    else:
        failed += 1
        continue
    fitted += 1
    (out / f"{name}.pkl").write_bytes(pickle.dumps(estimator))
    if fitted % 4 == 0:
        joblib.dump(estimator, out / f"{name}.joblib", compress=fitted % 8)
assert fitted > 150 and failed < 30, (fitted, failed)
