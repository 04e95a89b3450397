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
  /// scan: what has no verdict is scanned. lookup: it is refused, for hosts that leave no time.
  enum class Mode { scan, lookup } mode = Mode::scan;
  std::string daemon; ///< socket of `hubgate serve` that scans and decides; "" = this process does
  /// When the daemon does not answer. scan_if_able: this process scans if it has a data directory
  /// that it may write to, else the push is refused.
  enum class WithoutDaemon {
    scan_if_able,
    scan,
    refuse
  } without_daemon = WithoutDaemon::scan_if_able;
  /// A push with more of either is refused: whoever makes a bomb of trees pays, not the server.
  std::uint64_t max_objects = 5'000'000;
  std::uint64_t max_paths = 1'000'000;

  // Of `hubgate serve`, which answers the hooks.
  std::string socket;                     ///< where; "" = nowhere
  unsigned socket_mode = 0660;            ///< permissions
  std::string socket_group;               ///< name of the group that it is given to, "" = ours
  std::vector<std::string> trusted_users; ///< names or numbers of accounts whose hooks may ask
};

/// Reads the text of a file named `source`; the error names line and field.
Result<HookConfig> hook_config_from(std::string_view text, std::string_view source);
/// Reads a file; an empty path gives the defaults.
Result<HookConfig> load_hook_config(const std::filesystem::path& file);

} // namespace hubgate
