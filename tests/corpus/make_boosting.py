"""make_boosting.py OUT: xgboost and lightgbm models in the forms that people share."""
import pickle
import sys
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import xgboost

out = Path(sys.argv[1])
chooser = np.random.default_rng(3)
x, y = chooser.random((200, 5)), chooser.integers(0, 2, 200)
boosted = xgboost.XGBClassifier(n_estimators=6, max_depth=3).fit(x, y)
boosted.save_model(out / "xgboost.json")
light = lightgbm.LGBMClassifier(n_estimators=6, min_child_samples=5, verbose=-1).fit(x, y)
light.booster_.save_model(out / "lightgbm.txt")
for name, model in (("xgboost", boosted), ("xgboost_booster", boosted.get_booster()), ("lightgbm", light), ("lightgbm_booster", light.booster_)):
    (out / f"{name}.pkl").write_bytes(pickle.dumps(model))
    joblib.dump(model, out / f"{name}.joblib")
