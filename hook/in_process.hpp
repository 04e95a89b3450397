#pragma once
// InProcess: what judging in this process takes: records, policy, threads that scan.
#include "hook/config.hpp"
#include "policy/judge/local_authority.hpp"

namespace hubgate {

class InProcess {
public:
  /// `data` and `policy` are what the flags say, "" = nothing; the configuration and the defaults
  /// come behind them. `pool` must outlive it.
  static Result<std::unique_ptr<InProcess>> open(WorkerPool& pool, const HookConfig& config,
                                                 const std::string& data,
                                                 const std::string& policy);

  LocalAuthority authority(std::string repo) {
    return {*keeper_, *analyst_, {std::move(repo), {}}};
  }
  Gatekeeper& keeper() { return *keeper_; }
  /// Folder for unlinked files, owner-only.
  const std::filesystem::path& scratch() const { return scratch_; }

private:
  InProcess() = default;
  std::filesystem::path scratch_;
  std::unique_ptr<Gatekeeper> keeper_;
  std::unique_ptr<Analyst> analyst_;
};

} // namespace hubgate
