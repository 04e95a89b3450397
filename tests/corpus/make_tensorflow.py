"""make_tensorflow.py OUT: saved models, checkpoints, graphs, TFLite models and TFRecords, by
TensorFlow itself."""
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

out = Path(sys.argv[1])
keras.utils.set_random_seed(3)
vocabulary = out / "vocabulary.txt"
vocabulary.write_text("alpha\nbeta\ngamma\n")


class Module(tf.Module):
    def __init__(self):
        self.w = tf.Variable(tf.random.normal([4, 3]), name="w")
        self.table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(
            str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER), -1)

    @tf.function(input_signature=[tf.TensorSpec([None, 4])])
    def __call__(self, x):
        return tf.nn.relu(x @ self.w)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def find(self, x):
        return self.table.lookup(x)

    @tf.function(input_signature=[tf.TensorSpec([None, 4])])
    def loop(self, x):
        for _ in tf.range(3):
            x = tf.where(x > 0, x, x * 2)
        return x


def models():
    dense = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dropout(.3), keras.layers.Dense(2)])
    dense.compile("adam", "mse")
    dense.fit(np.zeros((8, 8)), np.zeros((8, 2)), verbose=0)
    image = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(8, 3), keras.layers.BatchNormalization(),
                              keras.layers.MaxPooling2D(), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")])
    recurrent = keras.Sequential([keras.Input((5, 8)), keras.layers.LSTM(4), keras.layers.Dense(1)])
    words = keras.layers.TextVectorization()
    words.adapt(["hello world", "foo bar baz"])
    text = keras.Sequential([keras.Input((1,), dtype="string"), words, keras.layers.Embedding(100, 8),
                             keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1)])
    return {"dense": dense, "image": image, "recurrent": recurrent, "text": text}


module = Module()
tf.saved_model.save(module, out / "module", signatures={"serving_default": module.__call__, "find": module.find, "loop": module.loop})
made = models()
for name, model in made.items():
    model.export(out / name, verbose=False)

manager = tf.train.CheckpointManager(tf.train.Checkpoint(model=made["dense"], step=tf.Variable(3)), out / "checkpoints", max_to_keep=2)
manager.save()
manager.save()
tf.train.Checkpoint(root=module).write(str(out / "written"))

for name in ("dense", "image", "recurrent"):
    converter = tf.lite.TFLiteConverter.from_saved_model(str(out / name))
    if name == "recurrent":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        converter._experimental_lower_tensor_list_ops = False
    if name == "image":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    (out / f"{name}.tflite").write_bytes(converter.convert())


def feature(values):
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


for name, options in (("records.tfrecord", None), ("records.tfrecord.gz", "GZIP"), ("records.tfrecord.zlib", "ZLIB")):
    with tf.io.TFRecordWriter(str(out / name), options=options) as writer:
        for i in range(50):
            image = tf.io.encode_png(np.full((8, 8, 3), i, np.uint8)).numpy()
            example = tf.train.Example(features=tf.train.Features(feature={
                "x": feature([float(i)] * 10), "label": feature([b"label"]), "image": feature([image])}))
            writer.write(example.SerializeToString())
tf.summary.create_file_writer(str(out / "events")).flush()

# TensorFlow 1
graph = tf.Graph()
with graph.as_default(), tf.compat.v1.Session() as session:
    x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="x")
    y = tf.matmul(x, tf.compat.v1.get_variable("w", [4, 2], use_resource=False), name="y")
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1]), -1)
    table.lookup(tf.constant(["a"]))
    saver = tf.compat.v1.train.Saver()
    session.run(tf.compat.v1.global_variables_initializer())
    saver.save(session, str(out / "v1" / "model"))
    definition = graph.as_graph_def()
    tf.io.write_graph(definition, str(out / "v1"), "graph.pbtxt", as_text=True)
    tf.io.write_graph(definition, str(out / "v1"), "graph.pb", as_text=False)
    frozen = tf.compat.v1.graph_util.convert_variables_to_constants(session, definition, ["y"])
    tf.io.write_graph(frozen, str(out / "v1"), "frozen.pb", as_text=False)
    signature = {"serving_default": tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": y})}
    for text in (False, True):
        builder = tf.compat.v1.saved_model.Builder(str(out / "v1" / ("text" if text else "saved")))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signature,
                                             main_op=None if text else tf.compat.v1.tables_initializer())
        builder.save(as_text=text)
