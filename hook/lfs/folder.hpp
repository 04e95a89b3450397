#pragma once
// A folder of the machine that the hook runs on.
#include "hook/lfs/source.hpp"

namespace hubgate {

class LfsFolder : public LfsSource {
public:
  LfsFolder(LfsSourceConfig config, LfsWorld world, std::string repo_id)
      : config_(std::move(config)), world_(std::move(world)), repo_id_(std::move(repo_id)) {}
  std::string name() const override;
  Result<Judge::Fetched> fetch(const LfsWanted& wanted) override;
  /// Where the object lies, if it does. Links are not followed: whoever made one decides what is
  /// behind it.
  Result<std::optional<std::pair<std::string, Fd>>> find(const std::string& oid) const;
  std::vector<std::string> places(const std::string& oid) const {
    return lfs_places(config_, world_, repo_id_, oid);
  }
  bool shared() const { return config_.shared; }

private:
  LfsSourceConfig config_;
  LfsWorld world_;
  std::string repo_id_;
};

} // namespace hubgate
