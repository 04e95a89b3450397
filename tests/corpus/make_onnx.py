"""make_onnx.py OUT: ONNX models as skl2onnx, onnx and ONNX Runtime write them, with weights inside and outside."""
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.cluster import KMeans
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

out = Path(sys.argv[1])
chooser = np.random.default_rng(5)
x, y = chooser.random((80, 4)).astype(np.float32), chooser.integers(0, 2, 80)

for name, model in {
    "forest": RandomForestClassifier(n_estimators=5), "boosting": GradientBoostingRegressor(n_estimators=5),
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()), "neighbours": KNeighborsClassifier(3),
    "support": SVC(probability=True), "clusters": KMeans(3, n_init=1),
}.items():
    (out / f"skl_{name}.onnx").write_bytes(to_onnx(model.fit(x, y), x[:1]).SerializeToString())

texts = np.array([["one two three"], ["two three four"], ["five"]])
vectors = TfidfVectorizer().fit(texts.ravel())
from skl2onnx import convert_sklearn  # noqa: E402
from skl2onnx.common.data_types import StringTensorType  # noqa: E402

(out / "skl_text.onnx").write_bytes(
    convert_sklearn(vectors, initial_types=[("text", StringTensorType([None, 1]))]).SerializeToString())

weights = numpy_helper.from_array(chooser.random((64, 64)).astype(np.float32), "w")
scale = numpy_helper.from_array(np.array([2, 3], dtype=np.int64), "reps")
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Tile", ["m", "reps"], ["t"]),
     helper.make_node("If", ["c"], ["y"], then_branch=helper.make_graph([helper.make_node("Relu", ["t"], ["a"])], "then", [], [helper.make_tensor_value_info("a", TensorProto.FLOAT, [None, None])]),
                      else_branch=helper.make_graph([helper.make_node("Neg", ["t"], ["b"])], "else", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, [None, None])]))],
    "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 64]), helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])], [weights, scale], doc_string="A model that multiplies")
function = helper.make_function("local", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)])
model = helper.make_model(graph, producer_name="hubgate", ir_version=10, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("local", 1)], functions=[function])
helper.set_model_props(model, {"author": "somebody", "licence": "Apache-2.0"})
onnx.checker.check_model(model)
onnx.save(model, out / "inside.onnx")
(out / "tensor.pb").write_bytes(weights.SerializeToString())
(out / "strings.pb").write_bytes(numpy_helper.from_array(np.array(["a", "b"], dtype=object), "s").SerializeToString())
(out / "sequence.pb").write_bytes(numpy_helper.from_list([np.ones(3, np.float32), np.zeros(2, np.float32)], "l").SerializeToString())

beside = out / "outside"
beside.mkdir()
onnx.save(model, beside / "outside.onnx", save_as_external_data=True, location="weights.bin", size_threshold=16)
onnx.save(onnx.load(beside / "outside.onnx"), beside / "apart.onnx", save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=16)

for name in ("inside", "skl_forest", "skl_logistic"):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(out / f"{name}.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(out / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(out / f"{name}_optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    onnxruntime.InferenceSession(str(out / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])
