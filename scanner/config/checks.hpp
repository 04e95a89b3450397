#pragma once
// Checks: what a rule of the key table asks of a value. Internal to scanner/config and to the
// formats that feed it.
#include "scanner/config/config.hpp"

#include <cstdint>
#include <span>

namespace hubgate::config {

struct Value;
using Check = void (*)(Teller&, const Value&);

/// One row: values of `key` are looked at by `check`.
struct KeyRule {
  std::string_view key;
  /// Nearest key around it; "" = any, "^" = none: a top-level map, "[]" = a map that is an element
  /// of the top-level list.
  std::string_view parent;
  unsigned below; ///< containers that may lie between the key and the value
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

  bool is_text() const { return kind == Scalar::text && !text.empty(); }
  /// Whether Python would take it for true.
  bool is_truthy() const;
  /// "path = text", bounded.
  std::string evidence() const;
};

// Models, their tokenizers and adapters (checks.cpp).
void check_code(Teller&, const Value&);
void check_attention(Teller&, const Value&);
void check_class_name(Teller&, const Value&);
void check_pipeline_class(Teller&, const Value&);
void check_custom_pipeline(Teller&, const Value&);
void check_dimension(Teller&, const Value&);
void check_module_type(Teller&, const Value&);
void check_transformers_import(Teller&, const Value&);
void check_megatron_import(Teller&, const Value&);
void check_shard(Teller&, const Value&);
void check_model_file(Teller&, const Value&);
void check_trust(Teller&, const Value&);
void check_kernel_mapping(Teller&, const Value&);
void check_jinja(Teller&, const Value&);
void check_base_model(Teller&, const Value&);
void check_target_value(Teller&, const Value&);
void check_class_path(Teller&, const Value&);

// Data sets (checks_data.cpp).
void check_annotation(Teller&, const Value&);
void check_row_file(Teller&, const Value&);
void check_data_files(Teller&, const Value&);
void check_licence(Teller&, const Value&);

// Serving and development tools (checks_tools.cpp).
void check_loader_module(Teller&, const Value&);
void check_keras_module(Teller&, const Value&);
void check_model_code(Teller&, const Value&);
void check_code_folder(Teller&, const Value&);
void check_model_path(Teller&, const Value&);
void check_serving_trust(Teller&, const Value&);
void check_service(Teller&, const Value&);
void check_serving_file(Teller&, const Value&);
void check_remote_folder(Teller&, const Value&);
void check_command(Teller&, const Value&);
void check_task(Teller&, const Value&);
void check_run_on(Teller&, const Value&);
void check_pipeline_step(Teller&, const Value&);

/// A callable that a loader resolves and calls: Hydra's `_target_` and its kin. `path` is for the
/// evidence.
void check_target(Teller& teller, std::string_view path, std::string_view name,
                  std::uint64_t offset, std::string_view condition);

/// A component of a diffusers pipeline: `key: [library, name]`.
void check_component(Teller& teller, std::string_view key, std::string_view library,
                     std::string_view name, std::uint64_t offset);

/// `${oc.env:NAME}` and its kin in a value of OmegaConf.
void check_resolvers(Teller& teller, std::string_view path, std::string_view text,
                     std::uint64_t offset);

} // namespace hubgate::config
