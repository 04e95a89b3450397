#pragma once
// Names: what a dotted Python name in a configuration leads to when a loader imports or calls it
// (Hydra's `_target_`, HyperPyYAML's tags, PyYAML's python tags, MLflow's loader_module, module
// lists). Reviewed names and prefixes are allowed; an allowed prefix never vouches for an attribute
// chain through it (`nemo.core.os.system`). Data of this table is versioned in names.cpp.
#include <string_view>

namespace hubgate::config {

enum class Standing {
  allowed,      ///< reviewed
  dangerous,    ///< runs code, opens files or connections
  library_call, ///< of Python or a usual package, not reviewed
  private_code, ///< of anybody
  malformed,    ///< not a dotted name
};

struct NameVerdict {
  Standing standing = Standing::private_code;
  std::string_view effect; ///< when dangerous
};

/// Judges a dotted name that a loader resolves and may call.
NameVerdict judge_target(std::string_view name);

/// The same for a name that is imported as a module, or is the path of a callable.
NameVerdict judge_module(std::string_view name);

/// Whether `text` is a dotted name of ASCII identifiers (one without a dot counts).
bool is_dotted_name(std::string_view text);

/// Whether `text` is one identifier.
bool is_identifier(std::string_view text);

} // namespace hubgate::config
