#pragma once
// Checks: what a rule of the key table asks of a value. Internal to scanner/config.
#include "scanner/config/config.hpp"

#include <cstdint>
#include <span>

namespace hubgate::config {

enum class Check : std::uint8_t {
  annotation,
  attention,
  auto_map,
  base_model,
  class_name,
  custom_pipeline,
  import_module,
  kernel_mapping,
  model_file,
  module_type,
  parent_library,
  pipeline_class,
  row_file,
  shard,
  target,
  jinja,
  trust,
};

/// One row: values of `key` are looked at by `check`.
struct KeyRule {
  std::string_view key;
  std::string_view parent; ///< nearest key around it; "" = any, "^" = none: a top-level map
  unsigned below;          ///< containers that may lie between the key and the value
  Check check;
  std::string_view condition; ///< names under which it matters
};

/// The rows of one key, sorted table; empty for most keys.
std::span<const KeyRule> rules_of(std::string_view key);

/// One value under one rule.
struct Value {
  const KeyRule& rule;
  Scalar kind;
  std::string_view text;
  std::uint64_t offset;
  std::size_t below;   ///< containers between the key and the value
  std::uint64_t index; ///< in the innermost list, 0 otherwise
  std::string path;    ///< for evidence: "text_config.auto_map.AutoModel"
};

/// Judges a value and reports.
void check_value(Teller& teller, const Value& value);

/// A callable that a loader resolves and calls: Hydra's `_target_` and its kin. `path` is for the
/// evidence.
void check_target(Teller& teller, std::string_view path, std::string_view name,
                  std::uint64_t offset, std::string_view condition);

/// A component of a diffusers pipeline: `key: [library, name]`.
void check_component(Teller& teller, std::string_view key, std::string_view library,
                     std::string_view name, std::uint64_t offset);

} // namespace hubgate::config
