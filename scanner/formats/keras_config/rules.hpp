#pragma once
// What configurations of Keras are judged by; README.md lists the same.
#include "scanner/core/format.hpp"

#include <array>

namespace hubgate::keras {

inline constexpr std::array<Rule, 15> k_rules{{
    {"keras-lambda", "code", Severity::malicious, Reach::load, "CWE-502", "AML.T0011.000",
     "KER-001 KER-002 KER-008 KER-021",
     "the model carries Python bytecode that runs when it is loaded or used"},
    {"keras-lambda-named", "unknown-call", Severity::suspicious, Reach::load, "CWE-502",
     "AML.T0011.000", "KER-001", "a Lambda layer calls a function that the model only names"},
    {"keras-arbitrary-import", "dangerous-import", Severity::malicious, Reach::load, "CWE-502",
     "AML.T0011.000", "KER-003 KER-004",
     "loading the configuration imports and calls what is no part of Keras"},
    {"keras-gadget", "dangerous-call", Severity::malicious, Reach::load, "CWE-502", "AML.T0011.000",
     "KER-005 KER-006",
     "the configuration calls a function of Keras that downloads, writes or loads files"},
    {"keras-unsafe-switch", "dangerous-call", Severity::malicious, Reach::load, "CWE-693",
     "AML.T0011.000", "KER-007", "the configuration switches Keras' safe mode off"},
    {"keras-torch-module", "pickle", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "KER-009", "a layer holds a pickled PyTorch module"},
    {"keras-external-file", "reference", Severity::suspicious, Reach::load, "CWE-73",
     "AML.T0011.000", "KER-010", "a layer reads a file or address that the configuration names"},
    {"keras-external-model", "reference", Severity::suspicious, Reach::load, "CWE-73",
     "AML.T0011.000", "KER-003", "a layer loads another model from the path that is named"},
    {"keras-name-traversal", "traversal", Severity::malicious, Reach::load, "CWE-22",
     "AML.T0011.000", "KER-017", "a layer's name leads out of the folder that it is saved in"},
    {"keras-custom-object", "unknown-class", Severity::suspicious, Reach::load, "CWE-470",
     "AML.T0011.000", "KER-020 RTF-014",
     "the model needs somebody's own class, whose code comes with it"},
    {"keras-unknown-name", "unknown-call", Severity::suspicious, Reach::load, "CWE-470",
     "AML.T0011.000", "KER-003 KER-004",
     "a name of Keras or of a usual package that models are not made of"},
    {"keras-tensorflow-function", "dangerous-call", Severity::malicious, Reach::load, "CWE-502",
     "AML.T0011.000", "KER-006",
     "a layer calls a TensorFlow function that touches files or Python"},
    {"keras-duplicate-key", "structure", Severity::malicious, Reach::load, "CWE-436", "AML.T0076",
     "KER-023", "a key of the configuration has two values: readers differ on which one counts"},
    {"keras-foreign-function", "code", Severity::suspicious, Reach::load, "CWE-502",
     "AML.T0011.000", "KER-004", "a layer wraps functions of another framework"},
    {"keras-string-code", "script", Severity::suspicious, Reach::load, "CWE-94", "AML.T0011.000",
     "KER-001", "a Lambda layer's function is text that is no bytecode"},
}};

inline constexpr const Rule& k_lambda = k_rules[0];
inline constexpr const Rule& k_lambda_named = k_rules[1];
inline constexpr const Rule& k_import = k_rules[2];
inline constexpr const Rule& k_gadget = k_rules[3];
inline constexpr const Rule& k_switch = k_rules[4];
inline constexpr const Rule& k_torch = k_rules[5];
inline constexpr const Rule& k_file = k_rules[6];
inline constexpr const Rule& k_model = k_rules[7];
inline constexpr const Rule& k_traversal = k_rules[8];
inline constexpr const Rule& k_custom = k_rules[9];
inline constexpr const Rule& k_unknown = k_rules[10];
inline constexpr const Rule& k_tensorflow = k_rules[11];
inline constexpr const Rule& k_duplicate = k_rules[12];
inline constexpr const Rule& k_foreign = k_rules[13];
inline constexpr const Rule& k_text = k_rules[14];

} // namespace hubgate::keras
