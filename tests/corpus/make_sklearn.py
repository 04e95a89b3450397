"""make_sklearn.py OUT: fitted estimators by pickle and joblib, in every compression of joblib."""
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

out = Path(sys.argv[1])
chooser = np.random.default_rng(2)
x, y = chooser.random((120, 6)), chooser.integers(0, 2, 120)
words = ["the gate stands", "the gate holds", "a model passes"] * 10
estimators = {
    "logistic": LogisticRegression().fit(x, y), "linear": LinearRegression().fit(x, y),
    "forest": RandomForestClassifier(12).fit(x, y), "boosting": GradientBoostingClassifier(n_estimators=8).fit(x, y),
    "tree": DecisionTreeClassifier().fit(x, y), "svc": SVC().fit(x, y), "bayes": GaussianNB().fit(x, y),
    "neighbours": KNeighborsClassifier().fit(x, y), "mlp": MLPClassifier((8,), max_iter=30).fit(x, y),
    "kmeans": KMeans(3, n_init=1).fit(x), "pca": PCA(2).fit(x), "scaler": StandardScaler().fit(x),
    "onehot": OneHotEncoder().fit([["a"], ["b"]]), "tfidf": TfidfVectorizer().fit(words),
    "pipeline": make_pipeline(StandardScaler(), PCA(3), LogisticRegression()).fit(x, y),
}
for name, estimator in estimators.items():
    joblib.dump(estimator, out / f"{name}.joblib")
    (out / f"{name}.pkl").write_bytes(pickle.dumps(estimator))
for protocol in range(2, 6):
    (out / f"forest.protocol{protocol}.pkl").write_bytes(pickle.dumps(estimators["forest"], protocol=protocol))
for method in ("zlib", "gzip", "bz2", "xz", "lzma", "lz4"):
    joblib.dump({"model": estimators["forest"], "data": x}, out / f"forest.{method}.joblib", compress=(method, 3))
joblib.dump(chooser.random((700, 700)), out / "array.joblib")
joblib.dump([x, {"y": y}, "text", None, 1.5], out / "mixed.joblib")
