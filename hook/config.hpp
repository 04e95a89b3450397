#pragma once
// The hook's part of hubgate.yaml: the sections `lfs` and `hook`. What belongs to the proxy is left
// alone; keys that nobody knows are errors.
#include "hook/environment.hpp"
#include "hook/lfs/config.hpp"

#include <chrono>
#include <cstdint>

namespace hubgate {

struct HookConfig {
  std::string data;   ///< "" = the default data directory
  std::string policy; ///< "" = the default preset
  LfsConfig lfs = default_lfs_config();
  /// judge: what a new ref names is judged unless a record says that it was. accept: whatever some
  /// ref named before the push is taken as it is.
  enum class History { judge, accept } history = History::judge;
  std::string groups_from; ///< see ServerHints
  /// What the organisation tells whoever is refused, a few lines.
  std::string message;
  /// Where to ask for a waiver; {reference}, {sha256}, {rules}, {repo}, {path}, {user} are filled
  /// in.
  std::string waiver_link;
  /// Blobs above this go through a file and not through memory, in bytes.
  std::uint64_t big_blob = std::uint64_t{8} << 20;
  /// Seconds for the whole push; 0 = as long as it takes.
  double timeout = 0;
  /// A push with more of either is refused: whoever makes a bomb of trees pays, not the server.
  std::uint64_t max_objects = 5'000'000;
  std::uint64_t max_paths = 1'000'000;
};

/// Reads the text of a file named `source`; the error names line and field.
Result<HookConfig> hook_config_from(std::string_view text, std::string_view source);
/// Reads a file; an empty path gives the defaults.
Result<HookConfig> load_hook_config(const std::filesystem::path& file);

} // namespace hubgate
