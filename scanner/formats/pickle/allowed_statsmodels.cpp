// statsmodels: models and their results, as its save() pickles them (0.14, modules of models only).
// What the formula of a model evaluates is judged where the state is.
#include "scanner/formats/pickle/names.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr std::array k_allowed{
    Allowed{"statsmodels.base._constraints", "LinearConstraints TransformRestriction",
            Use::estimator},
    Allowed{"statsmodels.base._parameter_inference", "ScoreTestResult", Use::estimator},
    Allowed{"statsmodels.base._penalized", "PenalizedMixin", Use::estimator},
    Allowed{"statsmodels.base._penalties",
            "ConstraintsPenalty CovariancePenalty L2 L2ConstraintsPenalty L2Univariate "
            "NonePenalty PSD Penalty PseudoHuber SCAD SCADSmoothed",
            Use::estimator},
    Allowed{"statsmodels.base._prediction_inference",
            "PredictionResultsBase PredictionResultsDelta PredictionResultsMean "
            "PredictionResultsMonotonic",
            Use::estimator},
    Allowed{"statsmodels.base._screening", "ScreeningResults VariableScreening", Use::estimator},
    Allowed{"statsmodels.base.elastic_net", "RegularizedResults RegularizedResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.base.model",
            "GenericLikelihoodModel GenericLikelihoodModelResults LikelihoodModel "
            "LikelihoodModelResults LikelihoodResultsWrapper Model ResultMixin Results",
            Use::estimator},
    Allowed{"statsmodels.base.transform", "BoxCox", Use::estimator},
    Allowed{"statsmodels.base.wrapper", "ResultsWrapper", Use::estimator},
    Allowed{"statsmodels.discrete._diagnostics_count",
            "ChisquareProbResult DispersionResults ZeroModificationTestResult "
            "ZeroinflationJHResult",
            Use::estimator},
    Allowed{"statsmodels.discrete.conditional_models",
            "ConditionalLogit ConditionalMNLogit ConditionalPoisson ConditionalResults "
            "ConditionalResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.discrete.count_model",
            "GenericZeroInflated L1ZeroInflatedGeneralizedPoissonResults "
            "L1ZeroInflatedGeneralizedPoissonResultsWrapper "
            "L1ZeroInflatedNegativeBinomialResults "
            "L1ZeroInflatedNegativeBinomialResultsWrapper L1ZeroInflatedPoissonResults "
            "L1ZeroInflatedPoissonResultsWrapper ZeroInflatedGeneralizedPoisson "
            "ZeroInflatedGeneralizedPoissonResults "
            "ZeroInflatedGeneralizedPoissonResultsWrapper ZeroInflatedNegativeBinomialP "
            "ZeroInflatedNegativeBinomialResults ZeroInflatedNegativeBinomialResultsWrapper "
            "ZeroInflatedPoisson ZeroInflatedPoissonResults "
            "ZeroInflatedPoissonResultsWrapper ZeroInflatedResults",
            Use::estimator},
    Allowed{"statsmodels.discrete.diagnostic", "CountDiagnostic PoissonDiagnostic", Use::estimator},
    Allowed{"statsmodels.discrete.discrete_margins", "DiscreteMargins Margins", Use::estimator},
    Allowed{"statsmodels.discrete.discrete_model",
            "BinaryModel BinaryResults BinaryResultsWrapper CountModel CountResults "
            "CountResultsWrapper DiscreteModel DiscreteResults GeneralizedPoisson "
            "GeneralizedPoissonResults GeneralizedPoissonResultsWrapper L1BinaryResults "
            "L1BinaryResultsWrapper L1CountResults L1CountResultsWrapper "
            "L1GeneralizedPoissonResults L1GeneralizedPoissonResultsWrapper "
            "L1MultinomialResults L1MultinomialResultsWrapper L1NegativeBinomialResults "
            "L1NegativeBinomialResultsWrapper L1PoissonResults L1PoissonResultsWrapper "
            "Logit LogitResults MNLogit MultinomialModel MultinomialResults "
            "MultinomialResultsWrapper NegativeBinomial NegativeBinomialP "
            "NegativeBinomialPResults NegativeBinomialPResultsWrapper "
            "NegativeBinomialResults NegativeBinomialResultsWrapper OrderedResults "
            "OrderedResultsWrapper Poisson PoissonResults PoissonResultsWrapper Probit "
            "ProbitResults",
            Use::estimator},
    Allowed{"statsmodels.discrete.truncated_model",
            "HurdleCountModel HurdleCountResults HurdleCountResultsWrapper "
            "L1HurdleCountResults L1HurdleCountResultsWrapper L1TruncatedLFGenericResults "
            "L1TruncatedLFGenericResultsWrapper TruncatedLFGeneralizedPoisson "
            "TruncatedLFGeneric TruncatedLFGenericResults TruncatedLFGenericResultsWrapper "
            "TruncatedLFNegativeBinomialP TruncatedLFPoisson TruncatedLFPoissonResults "
            "TruncatedNegativeBinomialResults",
            Use::estimator},
    Allowed{"statsmodels.distributions.empirical_distribution", "ECDF ECDFDiscrete StepFunction",
            Use::estimator},
    Allowed{"statsmodels.duration.hazard_regression",
            "PHReg PHRegResults PHSurvivalTime rv_discrete_float", Use::estimator},
    Allowed{"statsmodels.duration.survfunc", "CumIncidenceRight SurvfuncRight", Use::estimator},
    Allowed{"statsmodels.gam.gam_cross_validation.cross_validators", "BaseCrossValidator KFold",
            Use::estimator},
    Allowed{"statsmodels.gam.gam_cross_validation.gam_cross_validation",
            "BaseCV BasePenaltiesPathCV MultivariateGAMCV MultivariateGAMCVPath", Use::estimator},
    Allowed{"statsmodels.gam.gam_penalties", "MultivariateGamPenalty UnivariateGamPenalty",
            Use::estimator},
    Allowed{"statsmodels.gam.generalized_additive_model",
            "GLMGam GLMGamResults GLMGamResultsWrapper LogitGam", Use::estimator},
    Allowed{"statsmodels.gam.smooth_basis",
            "AdditiveGamSmoother BSplines CubicSplines CyclicCubicSplines GenericSmoothers "
            "PolynomialSmoother UnivariateBSplines UnivariateCubicCyclicSplines "
            "UnivariateCubicSplines UnivariateGamSmoother UnivariateGenericSmoother "
            "UnivariatePolynomialSmoother",
            Use::estimator},
    Allowed{"statsmodels.genmod.bayes_mixed_glm",
            "BayesMixedGLMResults BinomialBayesMixedGLM PoissonBayesMixedGLM", Use::estimator},
    Allowed{"statsmodels.genmod.cov_struct",
            "Autoregressive CategoricalCovStruct CovStruct Equivalence Exchangeable "
            "GlobalOddsRatio Independence Nested NominalIndependence OrdinalIndependence "
            "Stationary Unstructured",
            Use::estimator},
    Allowed{"statsmodels.genmod.families.family",
            "Binomial Family Gamma Gaussian InverseGaussian NegativeBinomial Poisson "
            "Tweedie",
            Use::estimator},
    Allowed{"statsmodels.genmod.families.links",
            "CDFLink CLogLog Cauchy Identity InversePower InverseSquared Link Log LogC "
            "LogLog Logit NegativeBinomial Power Probit Sqrt cauchy cloglog identity "
            "inverse_power inverse_squared log logc logit loglog nbinom probit sqrt",
            Use::estimator},
    Allowed{"statsmodels.genmod.families.varfuncs",
            "Binomial NegativeBinomial Power VarianceFunction", Use::estimator},
    Allowed{"statsmodels.genmod.generalized_estimating_equations",
            "GEE GEEMargins GEEResults GEEResultsWrapper NominalGEE NominalGEEResults "
            "NominalGEEResultsWrapper OrdinalGEE OrdinalGEEResults OrdinalGEEResultsWrapper "
            "ParameterConstraint",
            Use::estimator},
    Allowed{"statsmodels.genmod.generalized_linear_model", "GLM GLMResults GLMResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.genmod.qif",
            "QIF QIFAutoregressive QIFCovariance QIFExchangeable QIFIndependence QIFResults "
            "QIFResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.imputation.bayes_mi", "BayesGaussMI MI MIResults", Use::estimator},
    Allowed{"statsmodels.imputation.mice", "MICE MICEData MICEResults PatsyFormula",
            Use::estimator},
    Allowed{"statsmodels.miscmodels.count", "PoissonGMLE PoissonOffsetGMLE PoissonZiGMLE",
            Use::estimator},
    Allowed{"statsmodels.miscmodels.nonlinls", "Myfunc NonlinearLS Results", Use::estimator},
    Allowed{"statsmodels.miscmodels.ordinal_model",
            "OrderedModel OrderedResults OrderedResultsWrapper", Use::estimator},
    Allowed{"statsmodels.miscmodels.tmodel", "TLinearModel", Use::estimator},
    Allowed{"statsmodels.miscmodels.try_mlecov", "MLEGLS", Use::estimator},
    Allowed{"statsmodels.multivariate.cancorr", "CanCorr CanCorrTestResults", Use::estimator},
    Allowed{"statsmodels.multivariate.factor", "Factor FactorResults", Use::estimator},
    Allowed{"statsmodels.multivariate.manova", "MANOVA", Use::estimator},
    Allowed{"statsmodels.multivariate.multivariate_ols",
            "MultivariateLS MultivariateLSResults MultivariateLSResultsWrapper "
            "MultivariateTestResults",
            Use::estimator},
    Allowed{"statsmodels.multivariate.pca", "PCA", Use::estimator},
    Allowed{"statsmodels.nonparametric._kernel_base", "EstimatorSettings GenericKDE LeaveOneOut",
            Use::estimator},
    Allowed{"statsmodels.nonparametric.kde", "KDEResult KDEUnivariate", Use::estimator},
    Allowed{"statsmodels.nonparametric.kernel_density",
            "KDEMultivariate KDEMultivariateConditional", Use::estimator},
    Allowed{"statsmodels.nonparametric.kernel_regression",
            "KernelCensoredReg KernelReg TestRegCoefC TestRegCoefD", Use::estimator},
    Allowed{"statsmodels.othermod.betareg", "BetaModel BetaResults BetaResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.regression._prediction", "PredictionResults", Use::estimator},
    Allowed{"statsmodels.regression.dimred",
            "CORE CovarianceReduction DimReductionResults DimReductionResultsWrapper PHD "
            "PrincipalHessianDirections SAVE SIR SlicedAverageVarianceEstimation "
            "SlicedInverseReg",
            Use::estimator},
    Allowed{"statsmodels.regression.feasible_gls", "GLSHet GLSHet2", Use::estimator},
    Allowed{"statsmodels.regression.linear_model",
            "CompareLRTestResult ELTestResult GLS GLSAR OLS OLSResults RegressionModel "
            "RegressionResults RegressionResultsWrapper WLS YuleWalkerResult",
            Use::estimator},
    Allowed{"statsmodels.regression.mixed_linear_model",
            "MixedLM MixedLMParams MixedLMResults MixedLMResultsWrapper VCSpec", Use::estimator},
    Allowed{"statsmodels.regression.process_regression",
            "GaussianCovariance ProcessCovariance ProcessMLE ProcessMLEResults", Use::estimator},
    Allowed{"statsmodels.regression.quantile_regression", "QuantReg QuantRegResults",
            Use::estimator},
    Allowed{"statsmodels.regression.recursive_ls",
            "RecursiveLS RecursiveLSResults RecursiveLSResultsWrapper", Use::estimator},
    Allowed{"statsmodels.regression.rolling",
            "RollingOLS RollingRegressionResults RollingStore RollingWLS", Use::estimator},
    Allowed{"statsmodels.robust.covariance",
            "CovDetMCD CovDetMCDResult CovDetMM CovDetS CovIterResult CovM CovMResult "
            "CovOGKResult CovStartingResult CovTylerRegularizedResult CovTylerResult "
            "NaiveLedoitWolfResult",
            Use::estimator},
    Allowed{"statsmodels.robust.norms",
            "AndrewWave Hampel HuberT LeastSquares MQuantileNorm RamsayE RobustNorm "
            "StudentT TrimmedMean TukeyBiweight TukeyQuartic",
            Use::estimator},
    Allowed{"statsmodels.robust.resistant_linear_model", "DetSStartResult RLMDetS RLMDetSMM",
            Use::estimator},
    Allowed{"statsmodels.robust.robust_linear_model", "RLM RLMResults RLMResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.robust.scale", "Huber HuberScale MScale ScaleTrimmedResult",
            Use::estimator},
    Allowed{"statsmodels.robust.tools", "TuningSEstimatorMeanResult", Use::estimator},
    Allowed{"statsmodels.stats.contrast",
            "Contrast ContrastResults MultiCompResult WaldTestResults", Use::estimator},
    Allowed{"statsmodels.tools.tools", "Bunch", Use::estimator},
    Allowed{"statsmodels.tsa.ar_model",
            "AR AROrderSelectionResults ARResults AutoReg AutoRegResults "
            "AutoRegResultsWrapper InformationCriteria",
            Use::estimator},
    Allowed{"statsmodels.tsa.ardl.model",
            "ARDL ARDLOrderSelectionResults ARDLResults ARDLResultsWrapper BoundsTestResult "
            "UECM UECMResults UECMResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.arima.estimators._base", "ARMAEstimationResult", Use::estimator},
    Allowed{"statsmodels.tsa.arima.model", "ARIMA ARIMAResults ARIMAResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.arima.params", "SARIMAXParams", Use::estimator},
    Allowed{"statsmodels.tsa.arima.specification", "SARIMAXSpecification", Use::estimator},
    Allowed{"statsmodels.tsa.arima_model", "ARIMA ARIMAResults ARMA ARMAResults", Use::estimator},
    Allowed{"statsmodels.tsa.arima_process", "ArmaProcess", Use::estimator},
    Allowed{"statsmodels.tsa.base.prediction", "PredictionResults", Use::estimator},
    Allowed{"statsmodels.tsa.base.tsa_model",
            "TimeSeriesModel TimeSeriesModelResults TimeSeriesResultsWrapper", Use::estimator},
    Allowed{"statsmodels.tsa.descriptivestats", "TsaDescriptive", Use::estimator},
    Allowed{"statsmodels.tsa.deterministic",
            "CalendarDeterministicTerm CalendarFourier CalendarSeasonality "
            "CalendarTimeTrend DeterministicProcess DeterministicTerm Fourier "
            "FourierDeterministicTerm Seasonality TimeTrend TimeTrendDeterministicTerm",
            Use::estimator},
    Allowed{"statsmodels.tsa.exponential_smoothing.base", "StateSpaceMLEModel StateSpaceMLEResults",
            Use::estimator},
    Allowed{"statsmodels.tsa.exponential_smoothing.ets",
            "ETSModel ETSResults ETSResultsWrapper PredictionResults "
            "PredictionResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.filters.filtertools", "CycleTrendResult", Use::estimator},
    Allowed{"statsmodels.tsa.forecasting.stl", "STLForecast STLForecastResults", Use::estimator},
    Allowed{"statsmodels.tsa.forecasting.theta", "ThetaModel ThetaModelResults", Use::estimator},
    Allowed{"statsmodels.tsa.holtwinters._exponential_smoothers", "HoltWintersArgs",
            Use::estimator},
    Allowed{"statsmodels.tsa.holtwinters._smoothers", "HoltWintersArgs", Use::estimator},
    Allowed{"statsmodels.tsa.holtwinters.model", "ExponentialSmoothing Holt SimpleExpSmoothing",
            Use::estimator},
    Allowed{"statsmodels.tsa.holtwinters.results", "HoltWintersResults HoltWintersResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.mlemodel", "TSMLEModel", Use::estimator},
    Allowed{"statsmodels.tsa.regime_switching.markov_autoregression",
            "MarkovAutoregression MarkovAutoregressionResults "
            "MarkovAutoregressionResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.regime_switching.markov_regression",
            "MarkovRegression MarkovRegressionResults MarkovRegressionResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.regime_switching.markov_switching",
            "HamiltonFilterResults KimSmootherResults MarkovSwitching MarkovSwitchingParams "
            "MarkovSwitchingResults MarkovSwitchingResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.seasonal._seasonal", "DecomposeResult", Use::estimator},
    Allowed{"statsmodels.tsa.statespace._cfa_simulation_smoother",
            "cCFASimulationSmoother dCFASimulationSmoother sCFASimulationSmoother "
            "zCFASimulationSmoother",
            Use::estimator},
    Allowed{"statsmodels.tsa.statespace._pykalman_smoother", "_KalmanSmoother", Use::estimator},
    Allowed{"statsmodels.tsa.statespace._quarterly_ar1", "QuarterlyAR1", Use::estimator},
    Allowed{"statsmodels.tsa.statespace.cfa_simulation_smoother", "CFASimulationSmoother",
            Use::estimator},
    Allowed{"statsmodels.tsa.statespace.dynamic_factor",
            "DynamicFactor DynamicFactorResults DynamicFactorResultsWrapper", Use::estimator},
    Allowed{"statsmodels.tsa.statespace.dynamic_factor_mq",
            "DynamicFactorMQ DynamicFactorMQResults DynamicFactorMQStates FactorBlock",
            Use::estimator},
    Allowed{"statsmodels.tsa.statespace.exponential_smoothing",
            "ExponentialSmoothing ExponentialSmoothingResults "
            "ExponentialSmoothingResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.statespace.initialization", "Initialization", Use::estimator},
    Allowed{"statsmodels.tsa.statespace.kalman_filter",
            "FilterResults KalmanFilter PredictionResults", Use::estimator},
    Allowed{"statsmodels.tsa.statespace.kalman_smoother", "KalmanSmoother SmootherResults",
            Use::estimator},
    Allowed{"statsmodels.tsa.statespace.mlemodel",
            "MLEModel MLEResults MLEResultsWrapper PredictionResults "
            "PredictionResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.statespace.news", "NewsResults", Use::estimator},
    Allowed{"statsmodels.tsa.statespace.representation",
            "FrozenRepresentation MatrixWrapper OptionWrapper Representation", Use::estimator},
    Allowed{"statsmodels.tsa.statespace.sarimax", "SARIMAX SARIMAXResults SARIMAXResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.statespace.simulation_smoother",
            "SimulationSmoothResults SimulationSmoother", Use::estimator},
    Allowed{"statsmodels.tsa.statespace.structural",
            "UnobservedComponents UnobservedComponentsResults "
            "UnobservedComponentsResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.statespace.varmax", "VARMAX VARMAXResults VARMAXResultsWrapper",
            Use::estimator},
    Allowed{"statsmodels.tsa.stattools._leybourne", "LeybourneMcCabeStationarity", Use::estimator},
    Allowed{"statsmodels.tsa.stattools._stattools",
            "ADFullerResult AcfResult BreakvarHeteroskedasticityResult CcfResult "
            "CointResult DieboldMarianoResult JackknifeResult KPSSResult "
            "LevinsonDurbinPacfResult LevinsonDurbinResult PacfBurgResult PacfResult "
            "PccfResult QStatResult RURResult ZivotAndrewsUnitRoot",
            Use::estimator},
    Allowed{"statsmodels.tsa.stl._stl", "STL", Use::estimator},
    Allowed{"statsmodels.tsa.stl.mstl", "MSTL", Use::estimator},
    Allowed{"statsmodels.tsa.tsatools", "LagmatResult", Use::estimator},
    Allowed{"statsmodels.tsa.varma_process", "VarmaPoly", Use::estimator},
    Allowed{"statsmodels.tsa.vector_ar.hypothesis_test_results",
            "CausalityTestResults ErrorBand ForecastInterval HypothesisTestResults "
            "NormalityTestResults WhitenessTestResults",
            Use::estimator},
    Allowed{"statsmodels.tsa.vector_ar.irf", "BaseIRAnalysis IRAnalysis", Use::estimator},
    Allowed{"statsmodels.tsa.vector_ar.local_proj", "LocalProjections LocalProjectionsResults",
            Use::estimator},
    Allowed{"statsmodels.tsa.vector_ar.output", "VARSummary", Use::estimator},
    Allowed{"statsmodels.tsa.vector_ar.plotting", "MPLConfigurator", Use::estimator},
    Allowed{"statsmodels.tsa.vector_ar.svar_model", "SVAR SVARProcess SVARResults", Use::estimator},
    Allowed{"statsmodels.tsa.vector_ar.var_model",
            "FEVD LagOrderResults VAR VARProcess VARResults VARResultsWrapper", Use::estimator},
    Allowed{"statsmodels.tsa.vector_ar.vecm",
            "CointRankResults JohansenTestResult VECM VECMResults", Use::estimator},
    Allowed{"statsmodels.tsa.statespace._initialization",
            "cInitialization dInitialization sInitialization zInitialization", Use::estimator},
    Allowed{"statsmodels.tsa.statespace._representation",
            "cStatespace dStatespace sStatespace zStatespace", Use::estimator},
    Allowed{"statsmodels.tsa.statespace._kalman_filter",
            "cKalmanFilter dKalmanFilter sKalmanFilter zKalmanFilter", Use::estimator},
    Allowed{"statsmodels.tsa.statespace._kalman_smoother",
            "cKalmanSmoother dKalmanSmoother sKalmanSmoother zKalmanSmoother", Use::estimator},
    Allowed{"statsmodels.tsa.statespace._simulation_smoother",
            "cSimulationSmoother dSimulationSmoother sSimulationSmoother "
            "zSimulationSmoother",
            Use::estimator},
    Allowed{"statsmodels.base.data", "ModelData PandasData PatsyData", Use::estimator},
    Allowed{"scipy.optimize._lbfgsb_py", "LbfgsInvHessProduct", Use::estimator},
};

} // namespace

std::span<const Allowed> allowed_statsmodels() {
  return k_allowed;
}

} // namespace hubgate::pickle
