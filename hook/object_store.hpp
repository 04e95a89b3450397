#pragma once
// ObjectStore: the objects of a push and those of its repository, read with libgit2. The two are
// kept apart: what lies in the quarantine directory is what this push brought, whatever the size of
// the repository. No configuration, ref or hook of the repository is looked at.
#include "hook/environment.hpp"
#include "hook/git/objects.hpp"

#include <memory>
#include <optional>
#include <vector>

struct git_odb;
struct git_odb_object;

namespace hubgate {

/// An object in memory. Keeps its bytes.
class LoadedObject {
public:
  explicit LoadedObject(git_odb_object* object) : object_(object, &free) {}
  git::Kind kind() const;
  Bytes bytes() const;

private:
  static void free(git_odb_object* object);
  std::unique_ptr<git_odb_object, void (*)(git_odb_object*)> object_;
};

class ObjectStore {
public:
  struct Header {
    git::Kind kind = git::Kind::blob;
    std::uint64_t size = 0;
  };

  static Result<std::unique_ptr<ObjectStore>> open(const HookEnvironment& environment);
  ~ObjectStore();
  ObjectStore(const ObjectStore&) = delete;
  ObjectStore& operator=(const ObjectStore&) = delete;

  /// Every object of the push, packed or loose, named by something or not. An error also when there
  /// are more than `most`.
  Result<std::vector<git::Oid>> incoming(std::uint64_t most);

  /// Kind and size without reading the object; an error when it is not there.
  Result<Header> header(const git::Oid& oid);
  Result<LoadedObject> read(const git::Oid& oid);
  /// Whether the repository has the object without this push.
  bool was_there(const git::Oid& oid);

private:
  struct CloseOdb {
    void operator()(git_odb* odb) const;
  };
  using Odb = std::unique_ptr<git_odb, CloseOdb>;

  ObjectStore();
  Odb incoming_; ///< the quarantine alone; null when there is none
  Odb all_;      ///< the quarantine and the repository
  Odb before_;   ///< the repository alone
};

} // namespace hubgate
