// Gradient boosting libraries: boosters hold their model as bytes, the scikit-learn wrappers are
// plain objects around them.
#include "scanner/formats/pickle/names.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr std::array k_allowed{
    Allowed{"xgboost.core", "Booster", Use::object},
    Allowed{"xgboost.sklearn",
            "XGBModel XGBClassifier XGBRegressor XGBRanker XGBRFClassifier XGBRFRegressor",
            Use::estimator},
    Allowed{"xgboost.compat", "XGBoostLabelEncoder", Use::estimator},
    Allowed{"xgboost.callback", "EarlyStopping TrainingCallback", Use::estimator},
    Allowed{"lightgbm.basic", "Booster", Use::object},
    Allowed{"lightgbm.sklearn", "LGBMModel LGBMClassifier LGBMRegressor LGBMRanker",
            Use::estimator},
    Allowed{"lightgbm.compat", "_LGBMLabelEncoder", Use::estimator},
    Allowed{"catboost.core", "CatBoost CatBoostClassifier CatBoostRegressor CatBoostRanker Pool",
            Use::estimator},
    Allowed{"_catboost", "_CatBoost", Use::object},
    Allowed{"imblearn.pipeline", "Pipeline", Use::estimator},
    Allowed{"imblearn.over_sampling._smote.base", "SMOTE", Use::estimator},
    Allowed{"imblearn.under_sampling._prototype_selection._random_under_sampler",
            "RandomUnderSampler", Use::estimator},
};

} // namespace

std::span<const Allowed> allowed_boosting() {
  return k_allowed;
}

} // namespace hubgate::pickle
