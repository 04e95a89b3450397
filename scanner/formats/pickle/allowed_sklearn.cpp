// scikit-learn's classes by exact module, versions 0.20 to 1.7: everything that fitting leaves in a
// pickle. Functions that estimators hold (scorers, kernels) are named, never called while loading.
#include "scanner/formats/pickle/names.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr std::array k_allowed{
    Allowed{"sklearn._loss.loss",
            "HalfBinomialLossArrayAPI HalfMultinomialLossArrayAPI HalfPoissonLossArrayAPI",
            Use::estimator},
    Allowed{"sklearn.calibration", "_TemperatureScaling", Use::estimator},
    Allowed{"sklearn.callback._base", "AutoPropagatedCallback FitCallback _BaseCallback",
            Use::estimator},
    Allowed{"sklearn.callback._callback_context", "CallbackContext", Use::estimator},
    Allowed{"sklearn.callback._progressbar", "ProgressBar RichProgressMonitor RichTask",
            Use::estimator},
    Allowed{"sklearn.callback._scoring_monitor", "ScoringMonitor ScoringMonitorLog",
            Use::estimator},
    Allowed{"sklearn.callback._transport", "ListenerHandle", Use::estimator},
    Allowed{"sklearn.frozen._frozen", "FrozenEstimator", Use::estimator},
    Allowed{"sklearn.linear_model._base", "MultiOutputLinearModel", Use::estimator},
    Allowed{"sklearn.linear_model._logistic", "_LbfgsCallbackBridge", Use::estimator},
    Allowed{"sklearn.manifold._classical_mds", "ClassicalMDS", Use::estimator},
    Allowed{"sklearn.metrics._scorer", "_CurveScorer", Use::estimator},
    Allowed{"sklearn._loss._loss",
            "CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss "
            "CyHalfMultinomialLoss CyHalfPoissonLoss CyHalfSquaredError CyHalfTweedieLoss "
            "CyHalfTweedieLossIdentity CyHuberLoss CyPinballLoss "
            "__pyx_unpickle_CyAbsoluteError __pyx_unpickle_CyExponentialLoss "
            "__pyx_unpickle_CyHalfBinomialLoss __pyx_unpickle_CyHalfGammaLoss "
            "__pyx_unpickle_CyHalfMultinomialLoss __pyx_unpickle_CyHalfPoissonLoss "
            "__pyx_unpickle_CyHalfSquaredError __pyx_unpickle_CyHalfTweedieLoss "
            "__pyx_unpickle_CyHalfTweedieLossIdentity __pyx_unpickle_CyHuberLoss "
            "__pyx_unpickle_CyPinballLoss",
            Use::estimator},
    Allowed{"sklearn._loss.glm_distribution",
            "ExponentialDispersionModel GammaDistribution InverseGaussianDistribution "
            "NormalDistribution PoissonDistribution TweedieDistribution "
            "__pyx_unpickle_ExponentialDispersionModel __pyx_unpickle_GammaDistribution "
            "__pyx_unpickle_InverseGaussianDistribution __pyx_unpickle_NormalDistribution "
            "__pyx_unpickle_PoissonDistribution __pyx_unpickle_TweedieDistribution",
            Use::estimator},
    Allowed{"sklearn._loss.link",
            "BaseLink HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit "
            "__pyx_unpickle_BaseLink __pyx_unpickle_HalfLogitLink __pyx_unpickle_IdentityLink "
            "__pyx_unpickle_Interval __pyx_unpickle_LogLink __pyx_unpickle_LogitLink "
            "__pyx_unpickle_MultinomialLogit",
            Use::estimator},
    Allowed{"sklearn._loss.loss",
            "AbsoluteError BaseLoss ExponentialLoss HalfBinomialLoss HalfGammaLoss "
            "HalfMultinomialLoss HalfPoissonLoss HalfSquaredError HalfTweedieLoss "
            "HalfTweedieLossIdentity HuberLoss PinballLoss "
            "__pyx_unpickle_BaseLoss __pyx_unpickle_ExponentialLoss "
            "__pyx_unpickle_HalfBinomialLoss __pyx_unpickle_HalfGammaLoss "
            "__pyx_unpickle_HalfMultinomialLoss __pyx_unpickle_HalfPoissonLoss "
            "__pyx_unpickle_HalfTweedieLoss __pyx_unpickle_HalfTweedieLossIdentity "
            "__pyx_unpickle_HuberLoss __pyx_unpickle_PinballLoss",
            Use::estimator},
    Allowed{"sklearn.base", "BaseEstimator", Use::estimator},
    Allowed{"sklearn.calibration",
            "CalibratedClassifierCV CalibrationDisplay _CalibratedClassifier "
            "_SigmoidCalibration",
            Use::estimator},
    Allowed{"sklearn.cluster._affinity_propagation", "AffinityPropagation", Use::estimator},
    Allowed{"sklearn.cluster._agglomerative", "AgglomerativeClustering FeatureAgglomeration",
            Use::estimator},
    Allowed{"sklearn.cluster._bicluster", "BaseSpectral SpectralBiclustering SpectralCoclustering",
            Use::estimator},
    Allowed{"sklearn.cluster._birch", "Birch _CFNode _CFSubcluster", Use::estimator},
    Allowed{"sklearn.cluster._bisect_k_means", "BisectingKMeans _BisectingTree", Use::estimator},
    Allowed{"sklearn.cluster._dbscan", "DBSCAN", Use::estimator},
    Allowed{"sklearn.cluster._feature_agglomeration", "AgglomerationTransform", Use::estimator},
    Allowed{"sklearn.cluster._hdbscan.hdbscan", "HDBSCAN", Use::estimator},
    Allowed{"sklearn.cluster._kmeans", "KMeans MiniBatchKMeans _BaseKMeans", Use::estimator},
    Allowed{"sklearn.cluster._kmeans",
            "_kmeans_single_lloyd _kmeans_single_elkan lloyd_iter_chunked_dense "
            "lloyd_iter_chunked_sparse",
            Use::reference},
    Allowed{"sklearn.manifold._classical_mds", "ClassicalMDS", Use::estimator},
    Allowed{"sklearn.cluster._mean_shift", "MeanShift", Use::estimator},
    Allowed{"sklearn.cluster._optics", "OPTICS", Use::estimator},
    Allowed{"sklearn.cluster._spectral", "SpectralClustering", Use::estimator},
    Allowed{"sklearn.cluster.affinity_propagation_", "AffinityPropagation", Use::estimator},
    Allowed{"sklearn.cluster.bicluster", "BaseSpectral SpectralBiclustering SpectralCoclustering",
            Use::estimator},
    Allowed{"sklearn.cluster.birch", "Birch _CFNode _CFSubcluster", Use::estimator},
    Allowed{"sklearn.cluster.dbscan_", "DBSCAN", Use::estimator},
    Allowed{"sklearn.cluster.hierarchical", "AgglomerativeClustering FeatureAgglomeration",
            Use::estimator},
    Allowed{"sklearn.cluster.k_means_", "KMeans MiniBatchKMeans", Use::estimator},
    Allowed{"sklearn.cluster.mean_shift_", "MeanShift", Use::estimator},
    Allowed{"sklearn.cluster.optics_", "OPTICS", Use::estimator},
    Allowed{"sklearn.cluster.spectral", "SpectralClustering", Use::estimator},
    Allowed{"sklearn.compose._column_transformer",
            "ColumnTransformer _RemainderColsList make_column_selector", Use::estimator},
    Allowed{"sklearn.compose._target", "TransformedTargetRegressor", Use::estimator},
    Allowed{"sklearn.covariance._elliptic_envelope", "EllipticEnvelope", Use::estimator},
    Allowed{"sklearn.covariance._empirical_covariance", "EmpiricalCovariance", Use::estimator},
    Allowed{"sklearn.covariance._graph_lasso",
            "BaseGraphicalLasso GraphicalLasso GraphicalLassoCV _DictWithDeprecatedKeys",
            Use::estimator},
    Allowed{"sklearn.covariance._robust_covariance", "MinCovDet", Use::estimator},
    Allowed{"sklearn.covariance._shrunk_covariance", "LedoitWolf OAS ShrunkCovariance",
            Use::estimator},
    Allowed{"sklearn.covariance.elliptic_envelope", "EllipticEnvelope", Use::estimator},
    Allowed{"sklearn.covariance.empirical_covariance_", "EmpiricalCovariance", Use::estimator},
    Allowed{"sklearn.covariance.graph_lasso_",
            "GraphLasso GraphLassoCV GraphicalLasso GraphicalLassoCV", Use::estimator},
    Allowed{"sklearn.covariance.robust_covariance", "MinCovDet", Use::estimator},
    Allowed{"sklearn.covariance.shrunk_covariance_", "LedoitWolf OAS ShrunkCovariance",
            Use::estimator},
    Allowed{"sklearn.cross_decomposition._cca", "CCA", Use::estimator},
    Allowed{"sklearn.cross_decomposition._pls", "CCA PLSCanonical PLSRegression PLSSVD _PLS",
            Use::estimator},
    Allowed{"sklearn.cross_decomposition.cca_", "CCA", Use::estimator},
    Allowed{"sklearn.cross_decomposition.pls_", "PLSCanonical PLSRegression PLSSVD _PLS",
            Use::estimator},
    Allowed{"sklearn.decomposition._base", "_BasePCA", Use::estimator},
    Allowed{"sklearn.decomposition._dict_learning",
            "DictionaryLearning MiniBatchDictionaryLearning SparseCoder _BaseSparseCoding",
            Use::estimator},
    Allowed{"sklearn.decomposition._factor_analysis", "FactorAnalysis", Use::estimator},
    Allowed{"sklearn.decomposition._fastica", "FastICA", Use::estimator},
    Allowed{"sklearn.decomposition._incremental_pca", "IncrementalPCA", Use::estimator},
    Allowed{"sklearn.decomposition._kernel_pca", "KernelPCA", Use::estimator},
    Allowed{"sklearn.decomposition._lda", "LatentDirichletAllocation", Use::estimator},
    Allowed{"sklearn.decomposition._nmf", "MiniBatchNMF NMF _BaseNMF", Use::estimator},
    Allowed{"sklearn.decomposition._pca", "PCA", Use::estimator},
    Allowed{"sklearn.decomposition._sparse_pca", "MiniBatchSparsePCA SparsePCA _BaseSparsePCA",
            Use::estimator},
    Allowed{"sklearn.decomposition._truncated_svd", "TruncatedSVD", Use::estimator},
    Allowed{"sklearn.decomposition.base", "_BasePCA", Use::estimator},
    Allowed{"sklearn.decomposition.dict_learning",
            "DictionaryLearning MiniBatchDictionaryLearning SparseCoder", Use::estimator},
    Allowed{"sklearn.decomposition.factor_analysis", "FactorAnalysis", Use::estimator},
    Allowed{"sklearn.decomposition.fastica_", "FastICA", Use::estimator},
    Allowed{"sklearn.decomposition.incremental_pca", "IncrementalPCA", Use::estimator},
    Allowed{"sklearn.decomposition.kernel_pca", "KernelPCA", Use::estimator},
    Allowed{"sklearn.decomposition.nmf", "NMF", Use::estimator},
    Allowed{"sklearn.decomposition.online_lda", "LatentDirichletAllocation", Use::estimator},
    Allowed{"sklearn.decomposition.pca", "PCA", Use::estimator},
    Allowed{"sklearn.decomposition.sparse_pca", "MiniBatchSparsePCA SparsePCA", Use::estimator},
    Allowed{"sklearn.decomposition.truncated_svd", "TruncatedSVD", Use::estimator},
    Allowed{"sklearn.discriminant_analysis",
            "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis", Use::estimator},
    Allowed{"sklearn.dummy", "DummyClassifier DummyRegressor", Use::estimator},
    Allowed{"sklearn.ensemble._bagging", "BaggingClassifier BaggingRegressor BaseBagging",
            Use::estimator},
    Allowed{"sklearn.ensemble._base", "BaseEnsemble _BaseHeterogeneousEnsemble", Use::estimator},
    Allowed{"sklearn.ensemble._forest",
            "BaseForest ExtraTreesClassifier ExtraTreesRegressor ForestClassifier "
            "ForestRegressor RandomForestClassifier RandomForestRegressor "
            "RandomTreesEmbedding",
            Use::estimator},
    Allowed{"sklearn.ensemble._gb",
            "BaseGradientBoosting BinomialDeviance ClassificationLossFunction ExponentialLoss "
            "GradientBoostingClassifier GradientBoostingRegressor HuberLossFunction "
            "LogOddsEstimator LossFunction MeanEstimator MultinomialDeviance "
            "PriorProbabilityEstimator QuantileEstimator QuantileLossFunction "
            "RegressionLossFunction ScaledLogOddsEstimator VerboseReporter ZeroEstimator",
            Use::estimator},
    Allowed{"sklearn.ensemble._gb_losses",
            "BinomialDeviance ClassificationLossFunction ExponentialLoss HuberLossFunction "
            "LossFunction MultinomialDeviance QuantileLossFunction RegressionLossFunction",
            Use::estimator},
    Allowed{"sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper", Use::estimator},
    Allowed{"sklearn.ensemble._hist_gradient_boosting.gradient_boosting",
            "BaseHistGradientBoosting HistGradientBoostingClassifier "
            "HistGradientBoostingRegressor",
            Use::estimator},
    Allowed{"sklearn.ensemble._hist_gradient_boosting.grower", "TreeGrower TreeNode",
            Use::estimator},
    Allowed{"sklearn.ensemble._hist_gradient_boosting.loss",
            "BaseLoss BinaryCrossEntropy CategoricalCrossEntropy LeastAbsoluteDeviation "
            "LeastSquares Poisson",
            Use::estimator},
    Allowed{"sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor", Use::estimator},
    Allowed{"sklearn.ensemble._iforest", "IsolationForest", Use::estimator},
    Allowed{"sklearn.ensemble._stacking", "StackingClassifier StackingRegressor _BaseStacking",
            Use::estimator},
    Allowed{"sklearn.ensemble._voting", "VotingClassifier VotingRegressor _BaseVoting",
            Use::estimator},
    Allowed{"sklearn.ensemble._weight_boosting",
            "AdaBoostClassifier AdaBoostRegressor BaseWeightBoosting", Use::estimator},
    Allowed{"sklearn.ensemble.bagging", "BaggingClassifier BaggingRegressor BaseBagging",
            Use::estimator},
    Allowed{"sklearn.ensemble.base", "BaseEnsemble", Use::estimator},
    Allowed{"sklearn.ensemble.forest",
            "BaseForest ExtraTreesClassifier ExtraTreesRegressor ForestClassifier "
            "ForestRegressor RandomForestClassifier RandomForestRegressor "
            "RandomTreesEmbedding",
            Use::estimator},
    Allowed{"sklearn.ensemble.gradient_boosting",
            "BaseGradientBoosting BinomialDeviance ClassificationLossFunction ExponentialLoss "
            "GradientBoostingClassifier GradientBoostingRegressor HuberLossFunction "
            "LogOddsEstimator LossFunction MeanEstimator MultinomialDeviance "
            "PriorProbabilityEstimator QuantileEstimator QuantileLossFunction "
            "RegressionLossFunction ScaledLogOddsEstimator VerboseReporter ZeroEstimator",
            Use::estimator},
    Allowed{"sklearn.ensemble.iforest", "IsolationForest", Use::estimator},
    Allowed{"sklearn.ensemble.voting", "VotingClassifier VotingRegressor _BaseVoting",
            Use::estimator},
    Allowed{"sklearn.ensemble.voting_classifier", "VotingClassifier", Use::estimator},
    Allowed{"sklearn.ensemble.weight_boosting",
            "AdaBoostClassifier AdaBoostRegressor BaseWeightBoosting", Use::estimator},
    Allowed{"sklearn.feature_extraction._dict_vectorizer", "DictVectorizer", Use::estimator},
    Allowed{"sklearn.feature_extraction._hash", "FeatureHasher", Use::estimator},
    Allowed{"sklearn.feature_extraction.dict_vectorizer", "DictVectorizer", Use::estimator},
    Allowed{"sklearn.feature_extraction.hashing", "FeatureHasher", Use::estimator},
    Allowed{"sklearn.feature_extraction.image", "PatchExtractor", Use::estimator},
    Allowed{"sklearn.feature_extraction.text",
            "CountVectorizer HashingVectorizer TfidfTransformer TfidfVectorizer", Use::estimator},
    Allowed{"sklearn.feature_selection._from_model", "SelectFromModel", Use::estimator},
    Allowed{"sklearn.feature_selection._rfe", "RFE RFECV", Use::estimator},
    Allowed{"sklearn.feature_selection._sequential", "SequentialFeatureSelector", Use::estimator},
    Allowed{"sklearn.feature_selection._univariate_selection",
            "GenericUnivariateSelect SelectFdr SelectFpr SelectFwe SelectKBest "
            "SelectPercentile _BaseFilter",
            Use::estimator},
    Allowed{"sklearn.feature_selection._variance_threshold", "VarianceThreshold", Use::estimator},
    Allowed{"sklearn.feature_selection.from_model", "SelectFromModel", Use::estimator},
    Allowed{"sklearn.feature_selection.rfe", "RFE RFECV", Use::estimator},
    Allowed{"sklearn.feature_selection.univariate_selection",
            "GenericUnivariateSelect SelectFdr SelectFpr SelectFwe SelectKBest "
            "SelectPercentile _BaseFilter",
            Use::estimator},
    Allowed{"sklearn.feature_selection.variance_threshold", "VarianceThreshold", Use::estimator},
    Allowed{"sklearn.gaussian_process._gpc",
            "GaussianProcessClassifier _BinaryGaussianProcessClassifierLaplace", Use::estimator},
    Allowed{"sklearn.gaussian_process._gpr", "GaussianProcessRegressor", Use::estimator},
    Allowed{"sklearn.gaussian_process.gpc",
            "GaussianProcessClassifier _BinaryGaussianProcessClassifierLaplace", Use::estimator},
    Allowed{"sklearn.gaussian_process.gpr", "GaussianProcessRegressor", Use::estimator},
    Allowed{"sklearn.gaussian_process.kernels",
            "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation "
            "Hyperparameter Kernel KernelOperator Matern PairwiseKernel Product RBF "
            "RationalQuadratic Sum WhiteKernel",
            Use::estimator},
    Allowed{"sklearn.impute", "MissingIndicator SimpleImputer", Use::estimator},
    Allowed{"sklearn.impute._base", "MissingIndicator SimpleImputer _BaseImputer", Use::estimator},
    Allowed{"sklearn.impute._iterative", "IterativeImputer", Use::estimator},
    Allowed{"sklearn.impute._knn", "KNNImputer", Use::estimator},
    Allowed{"sklearn.isotonic", "IsotonicRegression", Use::estimator},
    Allowed{"sklearn.kernel_approximation",
            "AdditiveChi2Sampler Nystroem PolynomialCountSketch RBFSampler SkewedChi2Sampler",
            Use::estimator},
    Allowed{"sklearn.kernel_ridge", "KernelRidge", Use::estimator},
    Allowed{"sklearn.linear_model._base", "LinearModel LinearRegression", Use::estimator},
    Allowed{"sklearn.linear_model._bayes", "ARDRegression BayesianRidge", Use::estimator},
    Allowed{"sklearn.linear_model._coordinate_descent",
            "ElasticNet ElasticNetCV Lasso LassoCV LinearModelCV MultiTaskElasticNet "
            "MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV",
            Use::estimator},
    Allowed{"sklearn.linear_model._glm._newton_solver", "NewtonCholeskySolver NewtonSolver",
            Use::estimator},
    Allowed{"sklearn.linear_model._glm.glm",
            "GammaRegressor GeneralizedLinearRegressor PoissonRegressor TweedieRegressor "
            "_GeneralizedLinearRegressor",
            Use::estimator},
    Allowed{"sklearn.linear_model._glm.link", "BaseLink IdentityLink LogLink LogitLink",
            Use::estimator},
    Allowed{"sklearn.linear_model._huber", "HuberRegressor", Use::estimator},
    Allowed{"sklearn.linear_model._least_angle", "Lars LarsCV LassoLars LassoLarsCV LassoLarsIC",
            Use::estimator},
    Allowed{"sklearn.linear_model._linear_loss", "LinearModelLoss", Use::estimator},
    Allowed{"sklearn.linear_model._logistic", "LogisticRegression LogisticRegressionCV",
            Use::estimator},
    Allowed{"sklearn.linear_model._omp", "OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV",
            Use::estimator},
    Allowed{"sklearn.linear_model._passive_aggressive",
            "PassiveAggressiveClassifier PassiveAggressiveRegressor", Use::estimator},
    Allowed{"sklearn.linear_model._perceptron", "Perceptron", Use::estimator},
    Allowed{"sklearn.linear_model._quantile", "QuantileRegressor", Use::estimator},
    Allowed{"sklearn.linear_model._ransac", "RANSACRegressor", Use::estimator},
    Allowed{"sklearn.linear_model._ridge",
            "Ridge RidgeCV RidgeClassifier RidgeClassifierCV _BaseRidge _BaseRidgeCV "
            "_IdentityClassifier _IdentityRegressor _RidgeGCV _XT_CenterStackOp "
            "_X_CenterStackOp",
            Use::estimator},
    Allowed{"sklearn.linear_model._sgd_fast",
            "EpsilonInsensitive Hinge Huber Log ModifiedHuber SquaredEpsilonInsensitive "
            "SquaredHinge SquaredLoss __pyx_unpickle_EpsilonInsensitive __pyx_unpickle_Hinge "
            "__pyx_unpickle_Huber __pyx_unpickle_Log __pyx_unpickle_ModifiedHuber "
            "__pyx_unpickle_SquaredEpsilonInsensitive __pyx_unpickle_SquaredHinge "
            "__pyx_unpickle_SquaredLoss",
            Use::estimator},
    Allowed{"sklearn.linear_model._stochastic_gradient",
            "BaseSGD BaseSGDClassifier BaseSGDRegressor SGDClassifier SGDOneClassSVM "
            "SGDRegressor _ValidationScoreCallback",
            Use::estimator},
    Allowed{"sklearn.linear_model._theil_sen", "TheilSenRegressor", Use::estimator},
    Allowed{"sklearn.linear_model.base", "LinearModel LinearRegression", Use::estimator},
    Allowed{"sklearn.linear_model.bayes", "ARDRegression BayesianRidge", Use::estimator},
    Allowed{"sklearn.linear_model.coordinate_descent",
            "ElasticNet ElasticNetCV Lasso LassoCV LinearModelCV MultiTaskElasticNet "
            "MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV",
            Use::estimator},
    Allowed{"sklearn.linear_model.huber", "HuberRegressor", Use::estimator},
    Allowed{"sklearn.linear_model.least_angle", "Lars LarsCV LassoLars LassoLarsCV LassoLarsIC",
            Use::estimator},
    Allowed{"sklearn.linear_model.logistic", "LogisticRegression LogisticRegressionCV",
            Use::estimator},
    Allowed{"sklearn.linear_model.omp", "OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV",
            Use::estimator},
    Allowed{"sklearn.linear_model.passive_aggressive",
            "PassiveAggressiveClassifier PassiveAggressiveRegressor", Use::estimator},
    Allowed{"sklearn.linear_model.perceptron", "Perceptron", Use::estimator},
    Allowed{"sklearn.linear_model.randomized_l1",
            "BaseRandomizedLinearModel RandomizedLasso RandomizedLogisticRegression",
            Use::estimator},
    Allowed{"sklearn.linear_model.ransac", "RANSACRegressor", Use::estimator},
    Allowed{"sklearn.linear_model.ridge",
            "Ridge RidgeCV RidgeClassifier RidgeClassifierCV _BaseRidge _BaseRidgeCV "
            "_RidgeGCV _X_operator _Xt_operator",
            Use::estimator},
    Allowed{"sklearn.linear_model.sgd_fast",
            "EpsilonInsensitive Hinge Huber Log ModifiedHuber SquaredEpsilonInsensitive "
            "SquaredHinge SquaredLoss __pyx_unpickle_EpsilonInsensitive __pyx_unpickle_Hinge "
            "__pyx_unpickle_Huber __pyx_unpickle_Log __pyx_unpickle_ModifiedHuber "
            "__pyx_unpickle_SquaredEpsilonInsensitive __pyx_unpickle_SquaredHinge "
            "__pyx_unpickle_SquaredLoss",
            Use::estimator},
    Allowed{"sklearn.linear_model.stochastic_gradient",
            "BaseSGD BaseSGDClassifier BaseSGDRegressor SGDClassifier SGDRegressor "
            "_ValidationScoreCallback",
            Use::estimator},
    Allowed{"sklearn.linear_model.theil_sen", "TheilSenRegressor", Use::estimator},
    Allowed{"sklearn.manifold._isomap", "Isomap", Use::estimator},
    Allowed{"sklearn.manifold._locally_linear", "LocallyLinearEmbedding", Use::estimator},
    Allowed{"sklearn.manifold._mds", "MDS", Use::estimator},
    Allowed{"sklearn.manifold._spectral_embedding", "SpectralEmbedding", Use::estimator},
    Allowed{"sklearn.manifold._t_sne", "TSNE", Use::estimator},
    Allowed{"sklearn.manifold.isomap", "Isomap", Use::estimator},
    Allowed{"sklearn.manifold.locally_linear", "LocallyLinearEmbedding", Use::estimator},
    Allowed{"sklearn.manifold.mds", "MDS", Use::estimator},
    Allowed{"sklearn.manifold.spectral_embedding_", "SpectralEmbedding", Use::estimator},
    Allowed{"sklearn.manifold.t_sne", "TSNE", Use::estimator},
    Allowed{"sklearn.metrics._dist_metrics",
            "BrayCurtisDistance BrayCurtisDistance32 BrayCurtisDistance64 CanberraDistance "
            "CanberraDistance32 CanberraDistance64 ChebyshevDistance ChebyshevDistance32 "
            "ChebyshevDistance64 DiceDistance DiceDistance32 DiceDistance64 DistanceMetric "
            "DistanceMetric32 DistanceMetric64 EuclideanDistance EuclideanDistance32 "
            "EuclideanDistance64 HammingDistance HammingDistance32 HammingDistance64 "
            "HaversineDistance HaversineDistance32 HaversineDistance64 JaccardDistance "
            "JaccardDistance32 JaccardDistance64 KulsinskiDistance KulsinskiDistance32 "
            "KulsinskiDistance64 MahalanobisDistance MahalanobisDistance32 "
            "MahalanobisDistance64 ManhattanDistance ManhattanDistance32 ManhattanDistance64 "
            "MatchingDistance MatchingDistance32 MatchingDistance64 MinkowskiDistance "
            "MinkowskiDistance32 MinkowskiDistance64 PyFuncDistance PyFuncDistance32 "
            "PyFuncDistance64 RogersTanimotoDistance RogersTanimotoDistance32 "
            "RogersTanimotoDistance64 RussellRaoDistance RussellRaoDistance32 "
            "RussellRaoDistance64 SEuclideanDistance SEuclideanDistance32 "
            "SEuclideanDistance64 SokalMichenerDistance SokalMichenerDistance32 "
            "SokalMichenerDistance64 SokalSneathDistance SokalSneathDistance32 "
            "SokalSneathDistance64 WMinkowskiDistance WMinkowskiDistance32 "
            "WMinkowskiDistance64 newObj __pyx_unpickle_BrayCurtisDistance "
            "__pyx_unpickle_BrayCurtisDistance32 __pyx_unpickle_BrayCurtisDistance64 "
            "__pyx_unpickle_CanberraDistance __pyx_unpickle_CanberraDistance32 "
            "__pyx_unpickle_CanberraDistance64 __pyx_unpickle_ChebyshevDistance "
            "__pyx_unpickle_ChebyshevDistance32 __pyx_unpickle_ChebyshevDistance64 "
            "__pyx_unpickle_DiceDistance __pyx_unpickle_DiceDistance32 "
            "__pyx_unpickle_DiceDistance64 __pyx_unpickle_DistanceMetric "
            "__pyx_unpickle_DistanceMetric32 __pyx_unpickle_DistanceMetric64 "
            "__pyx_unpickle_EuclideanDistance __pyx_unpickle_EuclideanDistance32 "
            "__pyx_unpickle_EuclideanDistance64 __pyx_unpickle_HammingDistance "
            "__pyx_unpickle_HammingDistance32 __pyx_unpickle_HammingDistance64 "
            "__pyx_unpickle_HaversineDistance __pyx_unpickle_HaversineDistance32 "
            "__pyx_unpickle_HaversineDistance64 __pyx_unpickle_JaccardDistance "
            "__pyx_unpickle_JaccardDistance32 __pyx_unpickle_JaccardDistance64 "
            "__pyx_unpickle_KulsinskiDistance __pyx_unpickle_KulsinskiDistance32 "
            "__pyx_unpickle_KulsinskiDistance64 __pyx_unpickle_MahalanobisDistance "
            "__pyx_unpickle_MahalanobisDistance32 __pyx_unpickle_MahalanobisDistance64 "
            "__pyx_unpickle_ManhattanDistance __pyx_unpickle_ManhattanDistance32 "
            "__pyx_unpickle_ManhattanDistance64 __pyx_unpickle_MatchingDistance "
            "__pyx_unpickle_MatchingDistance32 __pyx_unpickle_MatchingDistance64 "
            "__pyx_unpickle_MinkowskiDistance __pyx_unpickle_MinkowskiDistance32 "
            "__pyx_unpickle_MinkowskiDistance64 __pyx_unpickle_PyFuncDistance "
            "__pyx_unpickle_PyFuncDistance32 __pyx_unpickle_PyFuncDistance64 "
            "__pyx_unpickle_RogersTanimotoDistance __pyx_unpickle_RogersTanimotoDistance32 "
            "__pyx_unpickle_RogersTanimotoDistance64 __pyx_unpickle_RussellRaoDistance "
            "__pyx_unpickle_RussellRaoDistance32 __pyx_unpickle_RussellRaoDistance64 "
            "__pyx_unpickle_SEuclideanDistance __pyx_unpickle_SEuclideanDistance32 "
            "__pyx_unpickle_SEuclideanDistance64 __pyx_unpickle_SokalMichenerDistance "
            "__pyx_unpickle_SokalMichenerDistance32 __pyx_unpickle_SokalMichenerDistance64 "
            "__pyx_unpickle_SokalSneathDistance __pyx_unpickle_SokalSneathDistance32 "
            "__pyx_unpickle_SokalSneathDistance64 __pyx_unpickle_WMinkowskiDistance "
            "__pyx_unpickle_WMinkowskiDistance32 __pyx_unpickle_WMinkowskiDistance64",
            Use::estimator},
    Allowed{"sklearn.metrics._pairwise_distances_reduction._dispatcher",
            "ArgKmin ArgKminClassMode BaseDistancesReductionDispatcher RadiusNeighbors "
            "RadiusNeighborsClassMode",
            Use::estimator},
    Allowed{"sklearn.metrics._plot.confusion_matrix", "ConfusionMatrixDisplay", Use::estimator},
    Allowed{"sklearn.metrics._plot.det_curve", "DetCurveDisplay", Use::estimator},
    Allowed{"sklearn.metrics._plot.precision_recall_curve", "PrecisionRecallDisplay",
            Use::estimator},
    Allowed{"sklearn.metrics._plot.regression", "PredictionErrorDisplay", Use::estimator},
    Allowed{"sklearn.metrics._plot.roc_curve", "RocCurveDisplay", Use::estimator},
    Allowed{"sklearn.metrics._scorer",
            "_BaseScorer _CurveScorer _DeprecatedScorers _MultimetricScorer _PassthroughScorer "
            "_PredictScorer _ProbaScorer _Scorer _ThresholdScorer",
            Use::estimator},
    Allowed{"sklearn.metrics.scorer", "_BaseScorer _PredictScorer _ProbaScorer _ThresholdScorer",
            Use::estimator},
    Allowed{"sklearn.mixture._base", "BaseMixture", Use::estimator},
    Allowed{"sklearn.mixture._bayesian_mixture", "BayesianGaussianMixture", Use::estimator},
    Allowed{"sklearn.mixture._gaussian_mixture", "GaussianMixture", Use::estimator},
    Allowed{"sklearn.mixture.base", "BaseMixture", Use::estimator},
    Allowed{"sklearn.mixture.bayesian_mixture", "BayesianGaussianMixture", Use::estimator},
    Allowed{"sklearn.mixture.gaussian_mixture", "GaussianMixture", Use::estimator},
    Allowed{"sklearn.model_selection._classification_threshold",
            "BaseThresholdClassifier FixedThresholdClassifier TunedThresholdClassifierCV "
            "_CurveScorer",
            Use::estimator},
    Allowed{"sklearn.model_selection._plot",
            "LearningCurveDisplay ValidationCurveDisplay _BaseCurveDisplay", Use::estimator},
    Allowed{"sklearn.model_selection._search",
            "BaseSearchCV GridSearchCV ParameterGrid ParameterSampler RandomizedSearchCV "
            "_CVScoreTuple",
            Use::estimator},
    Allowed{"sklearn.model_selection._search_successive_halving",
            "BaseSuccessiveHalving HalvingGridSearchCV HalvingRandomSearchCV "
            "_SubsampleMetaSplitter",
            Use::estimator},
    Allowed{"sklearn.model_selection._split",
            "BaseCrossValidator BaseShuffleSplit GroupKFold GroupShuffleSplit KFold "
            "LeaveOneGroupOut LeaveOneOut LeavePGroupsOut LeavePOut PredefinedSplit "
            "RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold "
            "StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit _BaseKFold "
            "_CVIterableWrapper _RepeatedSplits",
            Use::estimator},
    Allowed{"sklearn.multiclass",
            "OneVsOneClassifier OneVsRestClassifier OutputCodeClassifier _ConstantPredictor",
            Use::estimator},
    Allowed{"sklearn.multioutput",
            "ClassifierChain MultiOutputClassifier MultiOutputEstimator MultiOutputRegressor "
            "RegressorChain _BaseChain _MultiOutputEstimator",
            Use::estimator},
    Allowed{"sklearn.naive_bayes",
            "BaseDiscreteNB BaseNB BernoulliNB CategoricalNB ComplementNB GaussianNB "
            "MultinomialNB _BaseDiscreteNB _BaseNB",
            Use::estimator},
    Allowed{"sklearn.neighbors._ball_tree",
            "BallTree BallTree32 BallTree64 newObj __pyx_unpickle_BallTree "
            "__pyx_unpickle_BallTree32 __pyx_unpickle_BallTree64",
            Use::estimator},
    Allowed{"sklearn.neighbors._base", "NeighborsBase", Use::estimator},
    Allowed{"sklearn.neighbors._classification", "KNeighborsClassifier RadiusNeighborsClassifier",
            Use::estimator},
    Allowed{"sklearn.neighbors._dist_metrics",
            "BrayCurtisDistance BrayCurtisDistance32 BrayCurtisDistance64 CanberraDistance "
            "CanberraDistance32 CanberraDistance64 ChebyshevDistance ChebyshevDistance32 "
            "ChebyshevDistance64 DiceDistance DiceDistance32 DiceDistance64 DistanceMetric "
            "DistanceMetric32 DistanceMetric64 EuclideanDistance EuclideanDistance32 "
            "EuclideanDistance64 HammingDistance HammingDistance32 HammingDistance64 "
            "HaversineDistance HaversineDistance32 HaversineDistance64 JaccardDistance "
            "JaccardDistance32 JaccardDistance64 KulsinskiDistance KulsinskiDistance32 "
            "KulsinskiDistance64 MahalanobisDistance MahalanobisDistance32 "
            "MahalanobisDistance64 ManhattanDistance ManhattanDistance32 ManhattanDistance64 "
            "MatchingDistance MatchingDistance32 MatchingDistance64 MinkowskiDistance "
            "MinkowskiDistance32 MinkowskiDistance64 PyFuncDistance PyFuncDistance32 "
            "PyFuncDistance64 RogersTanimotoDistance RogersTanimotoDistance32 "
            "RogersTanimotoDistance64 RussellRaoDistance RussellRaoDistance32 "
            "RussellRaoDistance64 SEuclideanDistance SEuclideanDistance32 "
            "SEuclideanDistance64 SokalMichenerDistance SokalMichenerDistance32 "
            "SokalMichenerDistance64 SokalSneathDistance SokalSneathDistance32 "
            "SokalSneathDistance64 WMinkowskiDistance WMinkowskiDistance32 "
            "WMinkowskiDistance64 newObj __pyx_unpickle_BrayCurtisDistance "
            "__pyx_unpickle_BrayCurtisDistance32 __pyx_unpickle_BrayCurtisDistance64 "
            "__pyx_unpickle_CanberraDistance __pyx_unpickle_CanberraDistance32 "
            "__pyx_unpickle_CanberraDistance64 __pyx_unpickle_ChebyshevDistance "
            "__pyx_unpickle_ChebyshevDistance32 __pyx_unpickle_ChebyshevDistance64 "
            "__pyx_unpickle_DiceDistance __pyx_unpickle_DiceDistance32 "
            "__pyx_unpickle_DiceDistance64 __pyx_unpickle_DistanceMetric "
            "__pyx_unpickle_DistanceMetric32 __pyx_unpickle_DistanceMetric64 "
            "__pyx_unpickle_EuclideanDistance __pyx_unpickle_EuclideanDistance32 "
            "__pyx_unpickle_EuclideanDistance64 __pyx_unpickle_HammingDistance "
            "__pyx_unpickle_HammingDistance32 __pyx_unpickle_HammingDistance64 "
            "__pyx_unpickle_HaversineDistance __pyx_unpickle_HaversineDistance32 "
            "__pyx_unpickle_HaversineDistance64 __pyx_unpickle_JaccardDistance "
            "__pyx_unpickle_JaccardDistance32 __pyx_unpickle_JaccardDistance64 "
            "__pyx_unpickle_KulsinskiDistance __pyx_unpickle_KulsinskiDistance32 "
            "__pyx_unpickle_KulsinskiDistance64 __pyx_unpickle_MahalanobisDistance "
            "__pyx_unpickle_MahalanobisDistance32 __pyx_unpickle_MahalanobisDistance64 "
            "__pyx_unpickle_ManhattanDistance __pyx_unpickle_ManhattanDistance32 "
            "__pyx_unpickle_ManhattanDistance64 __pyx_unpickle_MatchingDistance "
            "__pyx_unpickle_MatchingDistance32 __pyx_unpickle_MatchingDistance64 "
            "__pyx_unpickle_MinkowskiDistance __pyx_unpickle_MinkowskiDistance32 "
            "__pyx_unpickle_MinkowskiDistance64 __pyx_unpickle_PyFuncDistance "
            "__pyx_unpickle_PyFuncDistance32 __pyx_unpickle_PyFuncDistance64 "
            "__pyx_unpickle_RogersTanimotoDistance __pyx_unpickle_RogersTanimotoDistance32 "
            "__pyx_unpickle_RogersTanimotoDistance64 __pyx_unpickle_RussellRaoDistance "
            "__pyx_unpickle_RussellRaoDistance32 __pyx_unpickle_RussellRaoDistance64 "
            "__pyx_unpickle_SEuclideanDistance __pyx_unpickle_SEuclideanDistance32 "
            "__pyx_unpickle_SEuclideanDistance64 __pyx_unpickle_SokalMichenerDistance "
            "__pyx_unpickle_SokalMichenerDistance32 __pyx_unpickle_SokalMichenerDistance64 "
            "__pyx_unpickle_SokalSneathDistance __pyx_unpickle_SokalSneathDistance32 "
            "__pyx_unpickle_SokalSneathDistance64 __pyx_unpickle_WMinkowskiDistance "
            "__pyx_unpickle_WMinkowskiDistance32 __pyx_unpickle_WMinkowskiDistance64",
            Use::estimator},
    Allowed{"sklearn.neighbors._distance_metric", "DistanceMetric", Use::estimator},
    Allowed{"sklearn.neighbors._graph", "KNeighborsTransformer RadiusNeighborsTransformer",
            Use::estimator},
    Allowed{"sklearn.neighbors._kd_tree",
            "KDTree KDTree32 KDTree64 newObj __pyx_unpickle_KDTree __pyx_unpickle_KDTree32 "
            "__pyx_unpickle_KDTree64",
            Use::estimator},
    Allowed{"sklearn.neighbors._kde", "KernelDensity", Use::estimator},
    Allowed{"sklearn.neighbors._lof", "LocalOutlierFactor", Use::estimator},
    Allowed{"sklearn.neighbors._nca", "NeighborhoodComponentsAnalysis", Use::estimator},
    Allowed{"sklearn.neighbors._nearest_centroid", "NearestCentroid", Use::estimator},
    Allowed{"sklearn.neighbors._quad_tree", "_QuadTree __pyx_unpickle__QuadTree", Use::estimator},
    Allowed{"sklearn.neighbors._regression", "KNeighborsRegressor RadiusNeighborsRegressor",
            Use::estimator},
    Allowed{"sklearn.neighbors._unsupervised", "NearestNeighbors", Use::estimator},
    Allowed{"sklearn.neighbors.approximate", "GaussianRandomProjectionHash LSHForest",
            Use::estimator},
    Allowed{"sklearn.neighbors.ball_tree", "BallTree newObj __pyx_unpickle_BallTree",
            Use::estimator},
    Allowed{"sklearn.neighbors.base", "NeighborsBase", Use::estimator},
    Allowed{"sklearn.neighbors.classification", "KNeighborsClassifier RadiusNeighborsClassifier",
            Use::estimator},
    Allowed{"sklearn.neighbors.dist_metrics",
            "BrayCurtisDistance BrayCurtisDistance32 BrayCurtisDistance64 CanberraDistance "
            "CanberraDistance32 CanberraDistance64 ChebyshevDistance ChebyshevDistance32 "
            "ChebyshevDistance64 DiceDistance DiceDistance32 DiceDistance64 DistanceMetric "
            "DistanceMetric32 DistanceMetric64 EuclideanDistance EuclideanDistance32 "
            "EuclideanDistance64 HammingDistance HammingDistance32 HammingDistance64 "
            "HaversineDistance HaversineDistance32 HaversineDistance64 JaccardDistance "
            "JaccardDistance32 JaccardDistance64 KulsinskiDistance KulsinskiDistance32 "
            "KulsinskiDistance64 MahalanobisDistance MahalanobisDistance32 "
            "MahalanobisDistance64 ManhattanDistance ManhattanDistance32 ManhattanDistance64 "
            "MatchingDistance MatchingDistance32 MatchingDistance64 MinkowskiDistance "
            "MinkowskiDistance32 MinkowskiDistance64 PyFuncDistance PyFuncDistance32 "
            "PyFuncDistance64 RogersTanimotoDistance RogersTanimotoDistance32 "
            "RogersTanimotoDistance64 RussellRaoDistance RussellRaoDistance32 "
            "RussellRaoDistance64 SEuclideanDistance SEuclideanDistance32 "
            "SEuclideanDistance64 SokalMichenerDistance SokalMichenerDistance32 "
            "SokalMichenerDistance64 SokalSneathDistance SokalSneathDistance32 "
            "SokalSneathDistance64 WMinkowskiDistance WMinkowskiDistance32 "
            "WMinkowskiDistance64 newObj __pyx_unpickle_BrayCurtisDistance "
            "__pyx_unpickle_BrayCurtisDistance32 __pyx_unpickle_BrayCurtisDistance64 "
            "__pyx_unpickle_CanberraDistance __pyx_unpickle_CanberraDistance32 "
            "__pyx_unpickle_CanberraDistance64 __pyx_unpickle_ChebyshevDistance "
            "__pyx_unpickle_ChebyshevDistance32 __pyx_unpickle_ChebyshevDistance64 "
            "__pyx_unpickle_DiceDistance __pyx_unpickle_DiceDistance32 "
            "__pyx_unpickle_DiceDistance64 __pyx_unpickle_DistanceMetric "
            "__pyx_unpickle_DistanceMetric32 __pyx_unpickle_DistanceMetric64 "
            "__pyx_unpickle_EuclideanDistance __pyx_unpickle_EuclideanDistance32 "
            "__pyx_unpickle_EuclideanDistance64 __pyx_unpickle_HammingDistance "
            "__pyx_unpickle_HammingDistance32 __pyx_unpickle_HammingDistance64 "
            "__pyx_unpickle_HaversineDistance __pyx_unpickle_HaversineDistance32 "
            "__pyx_unpickle_HaversineDistance64 __pyx_unpickle_JaccardDistance "
            "__pyx_unpickle_JaccardDistance32 __pyx_unpickle_JaccardDistance64 "
            "__pyx_unpickle_KulsinskiDistance __pyx_unpickle_KulsinskiDistance32 "
            "__pyx_unpickle_KulsinskiDistance64 __pyx_unpickle_MahalanobisDistance "
            "__pyx_unpickle_MahalanobisDistance32 __pyx_unpickle_MahalanobisDistance64 "
            "__pyx_unpickle_ManhattanDistance __pyx_unpickle_ManhattanDistance32 "
            "__pyx_unpickle_ManhattanDistance64 __pyx_unpickle_MatchingDistance "
            "__pyx_unpickle_MatchingDistance32 __pyx_unpickle_MatchingDistance64 "
            "__pyx_unpickle_MinkowskiDistance __pyx_unpickle_MinkowskiDistance32 "
            "__pyx_unpickle_MinkowskiDistance64 __pyx_unpickle_PyFuncDistance "
            "__pyx_unpickle_PyFuncDistance32 __pyx_unpickle_PyFuncDistance64 "
            "__pyx_unpickle_RogersTanimotoDistance __pyx_unpickle_RogersTanimotoDistance32 "
            "__pyx_unpickle_RogersTanimotoDistance64 __pyx_unpickle_RussellRaoDistance "
            "__pyx_unpickle_RussellRaoDistance32 __pyx_unpickle_RussellRaoDistance64 "
            "__pyx_unpickle_SEuclideanDistance __pyx_unpickle_SEuclideanDistance32 "
            "__pyx_unpickle_SEuclideanDistance64 __pyx_unpickle_SokalMichenerDistance "
            "__pyx_unpickle_SokalMichenerDistance32 __pyx_unpickle_SokalMichenerDistance64 "
            "__pyx_unpickle_SokalSneathDistance __pyx_unpickle_SokalSneathDistance32 "
            "__pyx_unpickle_SokalSneathDistance64 __pyx_unpickle_WMinkowskiDistance "
            "__pyx_unpickle_WMinkowskiDistance32 __pyx_unpickle_WMinkowskiDistance64",
            Use::estimator},
    Allowed{"sklearn.neighbors.kd_tree", "KDTree newObj __pyx_unpickle_KDTree", Use::estimator},
    Allowed{"sklearn.neighbors.kde", "KernelDensity", Use::estimator},
    Allowed{"sklearn.neighbors.lof", "LocalOutlierFactor", Use::estimator},
    Allowed{"sklearn.neighbors.nca", "NeighborhoodComponentsAnalysis", Use::estimator},
    Allowed{"sklearn.neighbors.nearest_centroid", "NearestCentroid", Use::estimator},
    Allowed{"sklearn.neighbors.regression", "KNeighborsRegressor RadiusNeighborsRegressor",
            Use::estimator},
    Allowed{"sklearn.neighbors.unsupervised", "NearestNeighbors", Use::estimator},
    Allowed{"sklearn.neural_network._multilayer_perceptron",
            "BaseMultilayerPerceptron MLPClassifier MLPRegressor", Use::estimator},
    Allowed{"sklearn.neural_network._rbm", "BernoulliRBM", Use::estimator},
    Allowed{"sklearn.neural_network._stochastic_optimizers",
            "AdamOptimizer BaseOptimizer SGDOptimizer", Use::estimator},
    Allowed{"sklearn.neural_network.multilayer_perceptron",
            "BaseMultilayerPerceptron MLPClassifier MLPRegressor", Use::estimator},
    Allowed{"sklearn.neural_network.rbm", "BernoulliRBM", Use::estimator},
    Allowed{"sklearn.pipeline", "FeatureUnion Pipeline", Use::estimator},
    Allowed{"sklearn.preprocessing._data",
            "Binarizer KernelCenterer MaxAbsScaler MinMaxScaler Normalizer PolynomialFeatures "
            "PowerTransformer QuantileTransformer RobustScaler StandardScaler",
            Use::estimator},
    Allowed{"sklearn.preprocessing._discretization", "KBinsDiscretizer", Use::estimator},
    Allowed{"sklearn.preprocessing._encoders", "OneHotEncoder OrdinalEncoder _BaseEncoder",
            Use::estimator},
    Allowed{"sklearn.preprocessing._function_transformer", "FunctionTransformer", Use::estimator},
    Allowed{"sklearn.preprocessing._label", "LabelBinarizer LabelEncoder MultiLabelBinarizer",
            Use::estimator},
    Allowed{"sklearn.preprocessing._polynomial", "PolynomialFeatures SplineTransformer",
            Use::estimator},
    Allowed{"sklearn.preprocessing._target_encoder", "TargetEncoder", Use::estimator},
    Allowed{"sklearn.preprocessing.data",
            "Binarizer CategoricalEncoder KernelCenterer MaxAbsScaler MinMaxScaler Normalizer "
            "PolynomialFeatures PowerTransformer QuantileTransformer RobustScaler "
            "StandardScaler",
            Use::estimator},
    Allowed{"sklearn.preprocessing.imputation", "Imputer", Use::estimator},
    Allowed{"sklearn.preprocessing.label", "LabelBinarizer LabelEncoder MultiLabelBinarizer",
            Use::estimator},
    Allowed{"sklearn.random_projection",
            "BaseRandomProjection GaussianRandomProjection SparseRandomProjection", Use::estimator},
    Allowed{"sklearn.semi_supervised._label_propagation",
            "BaseLabelPropagation LabelPropagation LabelSpreading", Use::estimator},
    Allowed{"sklearn.semi_supervised._self_training", "SelfTrainingClassifier", Use::estimator},
    Allowed{"sklearn.semi_supervised.label_propagation",
            "BaseLabelPropagation LabelPropagation LabelSpreading", Use::estimator},
    Allowed{"sklearn.svm._base", "BaseLibSVM BaseSVC", Use::estimator},
    Allowed{"sklearn.svm._classes", "LinearSVC LinearSVR NuSVC NuSVR OneClassSVM SVC SVR",
            Use::estimator},
    Allowed{"sklearn.svm.base", "BaseLibSVM BaseSVC", Use::estimator},
    Allowed{"sklearn.svm.classes", "LinearSVC LinearSVR NuSVC NuSVR OneClassSVM SVC SVR",
            Use::estimator},
    Allowed{"sklearn.tree._classes",
            "BaseDecisionTree DecisionTreeClassifier DecisionTreeRegressor "
            "ExtraTreeClassifier ExtraTreeRegressor",
            Use::estimator},
    Allowed{"sklearn.tree._criterion",
            "Entropy FriedmanMSE Gini MAE MSE Poisson __pyx_unpickle_Entropy "
            "__pyx_unpickle_FriedmanMSE __pyx_unpickle_Gini __pyx_unpickle_MAE "
            "__pyx_unpickle_MSE __pyx_unpickle_Poisson",
            Use::estimator},
    Allowed{"sklearn.tree._export", "Sentinel _BaseTreeExporter _DOTTreeExporter _MPLTreeExporter",
            Use::estimator},
    Allowed{"sklearn.tree._reingold_tilford", "DrawTree Tree", Use::estimator},
    Allowed{"sklearn.tree._splitter",
            "BestSparseSplitter BestSplitter RandomSparseSplitter RandomSplitter "
            "__pyx_unpickle_BestSparseSplitter __pyx_unpickle_BestSplitter "
            "__pyx_unpickle_RandomSparseSplitter __pyx_unpickle_RandomSplitter",
            Use::estimator},
    Allowed{"sklearn.tree._tree",
            "BestFirstTreeBuilder DepthFirstTreeBuilder Tree "
            "__pyx_unpickle_BestFirstTreeBuilder __pyx_unpickle_DepthFirstTreeBuilder "
            "__pyx_unpickle_Tree",
            Use::estimator},
    Allowed{"sklearn.tree.export", "Sentinel _BaseTreeExporter _DOTTreeExporter _MPLTreeExporter",
            Use::estimator},
    Allowed{"sklearn.tree.tree",
            "BaseDecisionTree DecisionTreeClassifier DecisionTreeRegressor "
            "ExtraTreeClassifier ExtraTreeRegressor",
            Use::estimator},
    Allowed{"sklearn.utils", "Bunch", Use::estimator},
    Allowed{"sklearn.datasets.base", "Bunch", Use::estimator},
    Allowed{"sklearn.utils._bunch", "Bunch", Use::estimator},
    Allowed{"sklearn.utils._metadata_requests", "MetadataRequest MethodMetadataRequest",
            Use::estimator},
    Allowed{"sklearn.feature_selection._mutual_info", "mutual_info_classif mutual_info_regression",
            Use::reference},
    Allowed{"sklearn.feature_selection._univariate_selection",
            "f_classif f_regression chi2 f_oneway r_regression", Use::reference},
    Allowed{"sklearn.feature_selection.mutual_info_", "mutual_info_classif mutual_info_regression",
            Use::reference},
    Allowed{"sklearn.feature_selection.univariate_selection", "f_classif f_regression chi2",
            Use::reference},
    Allowed{"sklearn.metrics._classification",
            "accuracy_score f1_score precision_score recall_score balanced_accuracy_score "
            "log_loss matthews_corrcoef jaccard_score",
            Use::reference},
    Allowed{"sklearn.metrics._ranking", "roc_auc_score average_precision_score", Use::reference},
    Allowed{"sklearn.metrics._regression",
            "r2_score mean_squared_error mean_absolute_error median_absolute_error "
            "explained_variance_score",
            Use::reference},
    Allowed{"sklearn.metrics._scorer", "_passthrough_scorer", Use::reference},
    Allowed{"sklearn.metrics.classification",
            "accuracy_score f1_score precision_score recall_score log_loss", Use::reference},
    Allowed{"sklearn.cluster._kmeans",
            "_kmeans_single_lloyd _kmeans_single_elkan lloyd_iter_chunked_dense "
            "elkan_iter_chunked_dense",
            Use::reference},
    Allowed{"sklearn.metrics.pairwise",
            "rbf_kernel linear_kernel polynomial_kernel cosine_similarity euclidean_distances "
            "sigmoid_kernel",
            Use::reference},
};

} // namespace

std::span<const Allowed> allowed_sklearn() {
  return k_allowed;
}

} // namespace hubgate::pickle
