#pragma once
// LfsStore: the LFS objects that a push points at, found by the sources of the configuration
// (hook/lfs) and judged. They are on the server before the hook runs. What lies under an id is only
// believed after it was hashed.
#include "hook/config.hpp"
#include "hook/lfs/source.hpp"
#include "policy/git/cases.hpp"
#include "policy/judge/judge.hpp"

#include <chrono>
#include <map>

namespace hubgate {

class LfsStore {
public:
  struct Object {
    Judged* judged = nullptr;            ///< never null in what find() gives
    std::unique_ptr<Judged> from_record; ///< what `judged` is when no bytes were read
  };

  /// `scratch`: an owner-only folder for bytes that come over the network.
  LfsStore(const HookConfig& config, const HookEnvironment& environment, std::string scratch);

  /// Gives the objects' bytes to the judge, each once. That a source can't be asked is an error of
  /// judge.wait(); not being there is none.
  Result<void> want(const std::vector<LfsWanted>& objects, Judge& judge, Authority& authority);
  /// What came of it, after the judge has waited; null when it was never wanted or nobody has it.
  const Object* find(const std::string& oid) const;
  /// The bytes of an object once more; a closed Fd when they are gone.
  Result<Fd> open(const std::string& oid, std::uint64_t size);
  /// The same for those who make cases of a push; must not outlive this.
  LfsObjects objects() const;
  /// Whether an object that is absent now may come later (lfs.absent: pending).
  bool may_be_late() const { return config_.absent == LfsConfig::Absent::pending; }

private:
  Result<void> make_sources();
  Result<void> take_records(const std::vector<LfsWanted>& objects, Authority& authority);
  Result<Judge::Fetched> fetch(const LfsWanted& wanted);

  const LfsConfig& config_;
  LfsWorld world_;
  std::vector<std::unique_ptr<LfsSource>> sources_;
  std::map<std::string, Object> objects_;
};

} // namespace hubgate
