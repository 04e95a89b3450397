"""make_keras.py OUT: Keras models in every form that Keras 3 saves: .keras, legacy .h5, weights, JSON."""
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras  # noqa: E402
from keras import layers  # noqa: E402

out = Path(sys.argv[1])
keras.utils.set_random_seed(3)


def save(name, model):
    model.save(out / f"{name}.keras")
    model.save(out / f"{name}.h5")
    model.save_weights(out / f"{name}.weights.h5")
    (out / f"{name}.json").write_text(model.to_json())


dense = keras.Sequential([layers.Input((8,)), layers.Dense(16, activation="relu", kernel_regularizer="l2"), layers.BatchNormalization(),
                          layers.Dropout(0.2), layers.Dense(3, activation="softmax")])
dense.compile(keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(1e-3, 100)), "sparse_categorical_crossentropy", metrics=["accuracy"])
save("dense", dense)

image = layers.Input((16, 16, 3))
x = layers.Rescaling(1 / 255.0)(image)
x = layers.Conv2D(8, 3, activation=keras.activations.gelu, kernel_initializer=keras.initializers.HeNormal(), name="conv1")(x)
x = keras.ops.mean(x * 2.0 + 1.0, axis=(1, 2))
first = layers.Dense(4, kernel_constraint="max_norm")(x)
second = layers.Activation("tanh")(first)
functional = keras.Model(image, [first, second])
functional.compile("sgd", loss=[keras.losses.Huber(), "mse"], metrics=[[keras.metrics.MeanAbsoluteError()], ["mae"]])
save("functional", functional)

series = layers.Input((5, 6))
x = layers.TimeDistributed(keras.Sequential([layers.Dense(4), layers.LayerNormalization()]))(series)
x = layers.Bidirectional(layers.GRU(4, return_sequences=True))(x)
x = layers.MultiHeadAttention(2, 4)(x, x)
save("nested", keras.Model(series, layers.GlobalAveragePooling1D()(x)))

tokens = layers.Input((4,), dtype="int32")
save("embedding", keras.Model(tokens, layers.Flatten()(layers.Embedding(10, 4)(tokens))))

keras.config.set_dtype_policy("mixed_float16")
save("mixed", keras.Sequential([layers.Input((8,)), layers.Dense(4)]))
keras.config.set_dtype_policy("float32")

for name in ("MobileNetV2", "DenseNet121", "EfficientNetB0", "ResNet50V2", "ConvNeXtTiny", "NASNetMobile"):
    (out / f"{name}.json").write_text(getattr(keras.applications, name)(weights=None).to_json())
save("MobileNetV2", keras.applications.MobileNetV2(weights=None, alpha=0.35))
