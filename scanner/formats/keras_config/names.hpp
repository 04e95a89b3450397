#pragma once
// What a (module, class_name, registered_name) of a Keras configuration means. Exact names of what
// Keras and its model packages save are allowed; what Keras can be made to import or call beyond
// them is judged by its module.
#include <string>
#include <string_view>

namespace hubgate::keras {

/// Tables of exact names, separated by blanks, with a blank on both sides.
std::string_view core_classes();
std::string_view hub_classes();
std::string_view functions();
std::string_view operations();

enum class Standing {
  allowed,
  custom,    ///< somebody's private class or function: its code comes from elsewhere
  unknown,   ///< of Keras, and not known here
  gadget,    ///< of Keras, with effects: downloads, writes files, loads models, switches safety off
  dangerous, ///< another package's, with a known harmful effect
  foreign,   ///< of Python or a usual package: importing and calling it is nobody's layer
};

struct Judgement {
  Standing standing = Standing::allowed;
  std::string_view effect = {}; ///< of gadgets and dangerous names
};

/// A class: `module` and `registered` may be empty.
Judgement judge_class(std::string_view module, std::string_view name, std::string_view registered);

/// A function that is named in a configuration.
Judgement judge_function(std::string_view module, std::string_view name);

/// A symbol of TensorFlow's API as TFOpLambda names it: "math.multiply".
Judgement judge_symbol(std::string_view symbol);

/// Whether `module` is of Keras or one of its model packages.
bool is_keras_module(std::string_view module);

/// Whether any allowlist has the class.
bool is_known_class(std::string_view name);

/// Version of the tables, for the rules digest.
inline constexpr std::string_view k_names_version = "2026-11-22.2";

} // namespace hubgate::keras
