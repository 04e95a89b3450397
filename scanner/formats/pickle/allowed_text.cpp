// gensim and nltk: vectors, topic models, taggers, tokenisers and counters, which hold words and
// numbers.
#include "scanner/formats/pickle/names.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr std::array k_allowed{
    Allowed{"gensim.corpora.dictionary", "Dictionary", Use::estimator},
    Allowed{"gensim.models.word2vec",
            "Word2Vec Heapitem PathLineSentences Vocab Word2VecVocab Word2VecTrainables",
            Use::estimator},
    Allowed{"gensim.models.doc2vec",
            "Doc2Vec Doctag TaggedDocument DocvecsArray Doc2VecVocab Doc2VecTrainables",
            Use::estimator},
    Allowed{"gensim.models.fasttext",
            "FastText FastTextKeyedVectors FastTextVocab FastTextTrainables", Use::estimator},
    Allowed{"gensim.models.wrappers.fasttext", "FastText FastTextKeyedVectors", Use::estimator},
    Allowed{"gensim.models.deprecated.word2vec", "Word2Vec Vocab", Use::estimator},
    Allowed{"gensim.models.deprecated.doc2vec", "Doc2Vec DocvecsArray", Use::estimator},
    Allowed{"gensim.models.ensemblelda", "EnsembleLda CBDBSCAN Topic Cluster", Use::estimator},
    Allowed{"gensim.models.ldaseqmodel", "LdaSeqModel sslm LdaPost", Use::estimator},
    Allowed{"gensim.models.atmodel", "AuthorTopicModel AuthorTopicState", Use::estimator},
    Allowed{"gensim.models.poincare", "PoincareModel NegativesBuffer PoincareKeyedVectors",
            Use::estimator},
    Allowed{"gensim.models.normmodel", "NormModel", Use::estimator},
    Allowed{"gensim.models.bm25model", "OkapiBM25Model LuceneBM25Model AtireBM25Model",
            Use::estimator},
    Allowed{"gensim.models.translation_matrix", "TranslationMatrix BackMappingTranslationMatrix",
            Use::estimator},
    Allowed{"gensim.models.keyedvectors",
            "KeyedVectors Word2VecKeyedVectors Doc2VecKeyedVectors Vocab CompatVocab "
            "EuclideanKeyedVectors PoincareKeyedVectors FastTextKeyedVectors",
            Use::estimator},
    Allowed{"gensim.models.ldamodel", "LdaModel LdaState", Use::estimator},
    Allowed{"gensim.models.ldamulticore", "LdaMulticore", Use::estimator},
    Allowed{"gensim.models.lsimodel", "LsiModel Projection", Use::estimator},
    Allowed{"gensim.models.tfidfmodel", "TfidfModel", Use::estimator},
    Allowed{"gensim.models.tfidfmodel",
            "smartirs_wlocal smartirs_wglobal smartirs_normalize df2idf", Use::reference},
    Allowed{"gensim.utils", "identity", Use::reference},
    Allowed{"gensim.matutils", "unitvec", Use::reference},
    Allowed{"gensim.models.hdpmodel", "HdpModel", Use::estimator},
    Allowed{"gensim.models.nmf", "Nmf", Use::estimator},
    Allowed{"gensim.models.rpmodel", "RpModel", Use::estimator},
    Allowed{"gensim.models.logentropy_model", "LogEntropyModel", Use::estimator},
    Allowed{"gensim.models.phrases", "Phrases FrozenPhrases Phraser", Use::estimator},
    Allowed{"gensim.similarities.docsim", "MatrixSimilarity SparseMatrixSimilarity Similarity",
            Use::estimator},
    Allowed{"nltk.tokenize.punkt",
            "PunktSentenceTokenizer PunktParameters PunktLanguageVars PunktToken "
            "PunktTrainer",
            Use::estimator},
    Allowed{"nltk.probability",
            "FreqDist ConditionalFreqDist ELEProbDist LidstoneProbDist LaplaceProbDist "
            "MLEProbDist UniformProbDist DictionaryProbDist ConditionalProbDist "
            "WittenBellProbDist SimpleGoodTuringProbDist KneserNeyProbDist HeldoutProbDist "
            "MutableProbDist",
            Use::estimator},
    Allowed{"nltk.classify.naivebayes", "NaiveBayesClassifier", Use::estimator},
    Allowed{"nltk.classify.maxent",
            "MaxentClassifier BinaryMaxentFeatureEncoding TypedMaxentFeatureEncoding",
            Use::estimator},
    Allowed{"nltk.classify.decisiontree", "DecisionTreeClassifier", Use::estimator},
    Allowed{"nltk.tag.sequential",
            "UnigramTagger BigramTagger TrigramTagger NgramTagger DefaultTagger AffixTagger "
            "RegexpTagger ClassifierBasedTagger ClassifierBasedPOSTagger ContextTagger "
            "SequentialBackoffTagger",
            Use::estimator},
    Allowed{"nltk.tag.perceptron", "PerceptronTagger AveragedPerceptron", Use::estimator},
    Allowed{"nltk.tag.hmm", "HiddenMarkovModelTagger", Use::estimator},
    Allowed{"nltk.tag.tnt", "TnT", Use::estimator},
    Allowed{"nltk.tag.brill", "BrillTagger", Use::estimator},
    Allowed{"nltk.chunk.named_entity", "NEChunkParser NEChunkParserTagger", Use::estimator},
    Allowed{"nltk.chunk.regexp", "RegexpParser RegexpChunkParser", Use::estimator},
    Allowed{"nltk.stem.porter", "PorterStemmer", Use::estimator},
    Allowed{"nltk.stem.snowball",
            "SnowballStemmer EnglishStemmer GermanStemmer FrenchStemmer SpanishStemmer "
            "PorterStemmer",
            Use::estimator},
    Allowed{"nltk.stem.lancaster", "LancasterStemmer", Use::estimator},
    Allowed{"nltk.stem.wordnet", "WordNetLemmatizer", Use::estimator},
    Allowed{"nltk.tree.tree", "Tree", Use::estimator},
    Allowed{"nltk.lm.models",
            "MLE Laplace Lidstone KneserNeyInterpolated WittenBellInterpolated "
            "StupidBackoff",
            Use::estimator},
    Allowed{"nltk.lm.vocabulary", "Vocabulary", Use::estimator},
    Allowed{"nltk.lm.counter", "NgramCounter", Use::estimator},
    Allowed{"gensim.models.phrases", "original_scorer npmi_scorer", Use::reference},
    Allowed{"gensim.models.ensemblelda", "mass_masking ratio_masking", Use::reference},
    Allowed{"gensim.models.tfidfmodel",
            "df2idf smartirs_normalize smartirs_wlocal smartirs_wglobal", Use::reference},
    Allowed{"gensim.utils", "identity call_on_class_only", Use::reference},
    Allowed{"builtins", "hash", Use::reference},
};

} // namespace

std::span<const Allowed> allowed_text() {
  return k_allowed;
}

} // namespace hubgate::pickle
