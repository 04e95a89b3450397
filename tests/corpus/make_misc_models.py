"""make_misc_models.py OUT: Core ML, OpenVINO, CatBoost, XGBoost and LightGBM in their own formats, skops, PMML,
statistics, vectors and taggers, office documents and drawings."""
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")
out = Path(sys.argv[1])
chooser = np.random.default_rng(6)
x, y = chooser.random((120, 4)), chooser.integers(0, 2, 120)


def boosting():
    import catboost
    import lightgbm
    import xgboost

    for name, model in {"tree": xgboost.XGBClassifier(n_estimators=4, max_depth=3), "dart": xgboost.XGBRegressor(booster="dart", n_estimators=3),
                        "linear": xgboost.XGBRegressor(booster="gblinear", n_estimators=3)}.items():
        model.fit(x, y)
        for suffix in ("json", "ubj"):
            model.save_model(out / f"xgboost_{name}.{suffix}")
    lightgbm.LGBMRegressor(n_estimators=4, min_child_samples=5, verbose=-1, linear_tree=True).fit(x, y).booster_.save_model(out / "lightgbm_linear.txt")
    lightgbm.LGBMRegressor(n_estimators=1, min_child_samples=500, verbose=-1).fit(x, y).booster_.save_model(out / "lightgbm_stump.txt")
    cat = catboost.CatBoostClassifier(iterations=4, verbose=0, allow_writing_files=False).fit(x, y)
    cat.save_model(str(out / "catboost.cbm"))
    cat.save_model(str(out / "catboost.json"), format="json")
    (out / "catboost.pkl").write_bytes(pickle.dumps(cat))


def skops():
    import skops.io
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    skops.io.dump(make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), RandomForestClassifier(4)).fit(x, y), out / "pipeline.skops")


def coreml():
    import coremltools
    from coremltools.converters.mil import Builder as mb

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 64))])
    def program(x):
        x = mb.linear(x=x, weight=np.ones((32, 64), np.float32), bias=np.zeros(32, np.float32))
        return mb.softmax(x=mb.relu(x=x), axis=-1)

    network = coremltools.convert(program, convert_to="neuralnetwork")
    network.author, network.short_description = "somebody", "A model of numbers"
    network.save(str(out / "network.mlmodel"))
    package = out / "program.mlpackage"
    coremltools.convert(program, convert_to="mlprogram").save(str(package))
    for name, path in {"Manifest.json": "Manifest.json", "program.mlmodel": "Data/com.apple.CoreML/model.mlmodel",
                       "program_weight.bin": "Data/com.apple.CoreML/weights/weight.bin"}.items():
        (package / path).rename(out / name)
    for folder in sorted((p for p in package.rglob("*") if p.is_dir()), reverse=True):
        folder.rmdir()
    package.rmdir()


def openvino_ir():
    import openvino
    from openvino import opset13 as ops

    given = ops.parameter([1, 8], np.float32, name="x")
    model = openvino.Model([ops.softmax(ops.relu(ops.matmul(given, ops.constant(np.ones((8, 4), np.float32)), False, False)), 1)], [given], "m")
    openvino.save_model(model, out / "ir.xml")
    openvino.serialize(model, str(out / "ir32.xml"), str(out / "ir32.bin"))


def pmml():
    from nyoka import skl_to_pmml
    from sklearn.pipeline import Pipeline
    from sklearn.tree import DecisionTreeClassifier

    skl_to_pmml(Pipeline([("m", DecisionTreeClassifier(max_depth=3).fit(x, y))]), ["a", "b", "c", "d"], "y", str(out / "tree.pmml"))


def statistics():
    import statsmodels.api as sm
    import statsmodels.formula.api as smf
    import pandas as pd

    constant = sm.add_constant(x)
    for name, results in {"ols": sm.OLS(y, constant).fit(), "glm": sm.GLM(y, constant, family=sm.families.Poisson()).fit(),
                          "logit": sm.Logit(y, constant).fit(disp=0), "rlm": sm.RLM(y, constant).fit(),
                          "arima": sm.tsa.ARIMA(chooser.random(60), order=(1, 0, 1)).fit(),
                          "smoothing": sm.tsa.ExponentialSmoothing(chooser.random(60) + 1, trend="add").fit(),
                          "formula": smf.ols("y ~ np.log(a) + C(g)", pd.DataFrame({"y": y, "a": x[:, 0] + 1, "g": y})).fit()}.items():
        results.save(str(out / f"statsmodels_{name}.pickle"))


def words():
    from gensim.corpora import Dictionary
    from gensim.models import Doc2Vec, FastText, LdaModel, LsiModel, TfidfModel, Word2Vec
    from gensim.models.doc2vec import TaggedDocument
    from gensim.models.fasttext import save_facebook_model
    from nltk.classify import NaiveBayesClassifier
    from nltk.probability import FreqDist
    from nltk.stem import PorterStemmer
    from nltk.tag import DefaultTagger, UnigramTagger
    from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

    texts = [["a", "b", "c", "d"], ["a", "c", "e"], ["b", "d", "e", "a"]] * 8
    small = {"vector_size": 8, "min_count": 1, "epochs": 1}
    Word2Vec(texts, **small).save(str(out / "word2vec.model"))
    Word2Vec(texts, **small).wv.save(str(out / "vectors.kv"))
    Doc2Vec([TaggedDocument(t, [i]) for i, t in enumerate(texts)], **small).save(str(out / "doc2vec.model"))
    subwords = FastText(texts, bucket=100, **small)
    subwords.save(str(out / "fasttext.model"))
    save_facebook_model(subwords, str(out / "fasttext.bin"))
    subwords.wv.save_word2vec_format(str(out / "word2vec.bin"), binary=True)
    names = Dictionary(texts)
    names.save(str(out / "names.dict"))
    bags = [names.doc2bow(text) for text in texts]
    for name, model in {"lda": LdaModel(bags, id2word=names, num_topics=2), "lsi": LsiModel(bags, id2word=names, num_topics=2),
                        "tfidf": TfidfModel(bags), "tfidf_smart": TfidfModel(bags, smartirs="ntc")}.items():
        model.save(str(out / f"{name}.gensim"))
    trainer = PunktTrainer()
    trainer.train("Mr. Smith went. He came back. Dr. No was there. " * 20)
    for name, thing in {"punkt": PunktSentenceTokenizer(trainer.get_params()), "bayes": NaiveBayesClassifier.train([({"a": 1}, "x"), ({"a": 2}, "y")] * 5),
                        "tagger": UnigramTagger([[("a", "X"), ("b", "Y")]] * 3, backoff=DefaultTagger("X")), "stemmer": PorterStemmer(),
                        "counts": FreqDist("aabbc")}.items():
        (out / f"nltk_{name}.pickle").write_bytes(pickle.dumps(thing))


def documents():
    import docx
    import openpyxl
    import xlsxwriter
    from reportlab.pdfgen import canvas
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plot

    book = openpyxl.Workbook()
    book.active.append(["a", "=SUM(A1:A3)"])
    book.save(out / "openpyxl.xlsx")
    book = xlsxwriter.Workbook(out / "xlsxwriter.xlsx")
    book.add_worksheet().write_url("A1", "https://example.org/")
    book.close()
    text = docx.Document()
    text.add_heading("Title")
    text.save(out / "document.docx")
    page = canvas.Canvas(str(out / "page.pdf"))
    page.drawString(10, 10, "text")
    page.save()
    plot.plot([1, 2, 3])
    plot.savefig(out / "plot.svg")
    plot.savefig(out / "plot.pdf")


for make in (boosting, skops, coreml, openvino_ir, pmml, statistics, words, documents):
    make()
