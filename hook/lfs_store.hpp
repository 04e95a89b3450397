#pragma once
// LfsStore: where the server keeps the bytes of LFS objects. They are on the server before the hook
// runs, in one of a few layouts (see git::expand_lfs_path()). What lies under an id is only
// believed after it was hashed.
#include "hook/config.hpp"
#include "hook/judge.hpp"

#include <map>

namespace hubgate {

class LfsStore {
public:
  struct Object {
    bool found = false;
    Judged* judged = nullptr; ///< null: not found
  };

  LfsStore(const HookConfig& config, const HookEnvironment& environment);

  /// Gives the object's bytes to the judge, once. An error when they are there and can't be read;
  /// not being there is none.
  Result<void> want(const std::string& oid, Judge& judge);
  /// What came of it, after the judge has waited; null when it was never wanted.
  const Object* find(const std::string& oid) const;
  /// The file of an object that was wanted; a closed Fd when it is gone. Links are not followed.
  Fd open(const std::string& oid) const;
  /// Every object that was found.
  void each(const std::function<void(const Judged&)>& visit) const;
  /// The first place where an object would be, for a person.
  std::string example(const std::string& oid) const;

private:
  Result<Fd> look(const std::string& oid) const;
  std::vector<std::string> places(const std::string& oid) const;

  std::vector<std::string> roots_;
  std::vector<std::string> templates_;
  std::filesystem::path git_dir_;
  std::map<std::string, Object> objects_;
};

} // namespace hubgate
