#include "hook/object_store.hpp"

#include "scanner/core/evidence.hpp"

#include <git2.h>
#include <git2/sys/odb_backend.h>

#include <sys/stat.h>

#include <cstring>

namespace hubgate {
namespace {

git_oid to_git(const git::Oid& oid) {
  git_oid out;
  std::memcpy(out.id, oid.bytes.data(), git::Oid::k_sha1);
  return out;
}

git::Oid from_git(const git_oid& oid) {
  git::Oid out;
  std::memcpy(out.bytes.data(), oid.id, git::Oid::k_sha1);
  return out;
}

Error git_failure(std::string_view doing) {
  const git_error* error = git_error_last();
  return Error{std::string(doing) + ": " +
               (error == nullptr ? "no reason given" : printable(error->message, 200))};
}

std::optional<git::Kind> kind_of(git_object_t type) {
  switch (type) {
  case GIT_OBJECT_COMMIT:
    return git::Kind::commit;
  case GIT_OBJECT_TREE:
    return git::Kind::tree;
  case GIT_OBJECT_BLOB:
    return git::Kind::blob;
  case GIT_OBJECT_TAG:
    return git::Kind::tag;
  default:
    return std::nullopt;
  }
}

// libgit2 takes a directory that is not there for an empty one.
Result<void> demand_directory(const std::filesystem::path& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return Error{"the object directory " + printable(path.string(), 300) + " is not there"};
  return {};
}

struct Listing {
  std::vector<git::Oid> oids;
  std::uint64_t most = 0;
};

int list_object(const git_oid* oid, void* payload) {
  auto& listing = *static_cast<Listing*>(payload);
  if (listing.oids.size() >= listing.most) return GIT_EUSER;
  listing.oids.push_back(from_git(*oid));
  return 0;
}

} // namespace

git::Kind LoadedObject::kind() const {
  return kind_of(git_odb_object_type(object_.get())).value_or(git::Kind::blob);
}

Bytes LoadedObject::bytes() const {
  return {static_cast<const std::uint8_t*>(git_odb_object_data(object_.get())),
          git_odb_object_size(object_.get())};
}

void LoadedObject::free(git_odb_object* object) {
  git_odb_object_free(object);
}

void ObjectStore::CloseOdb::operator()(git_odb* odb) const {
  git_odb_free(odb);
}

ObjectStore::ObjectStore() {
  git_libgit2_init();
  // Everything is read once: keeping objects only costs memory. Hashes are checked (the default).
  git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
}

ObjectStore::~ObjectStore() {
  incoming_.reset();
  all_.reset();
  before_.reset();
  git_libgit2_shutdown();
}

Result<std::unique_ptr<ObjectStore>> ObjectStore::open(const HookEnvironment& environment) {
  std::unique_ptr<ObjectStore> out(new ObjectStore());
  const auto open_at = [](const std::filesystem::path& path) -> Result<Odb> {
    if (auto there = demand_directory(path); !there) return there.error();
    git_odb* odb = nullptr;
    if (git_odb_open(&odb, path.c_str()) != 0) return git_failure("can't open the objects");
    return Odb(odb);
  };
  const auto add = [](const Odb& odb, const std::filesystem::path& path) -> Result<void> {
    if (git_odb_add_disk_alternate(odb.get(), path.c_str()) != 0)
      return git_failure("can't open the objects of the repository");
    return {};
  };
  if (!environment.incoming.empty()) {
    out->incoming_ = HUBGATE_TRY(open_at(environment.incoming));
    out->all_ = HUBGATE_TRY(open_at(environment.incoming));
  }
  for (const auto& path: environment.objects)
    for (Odb* odb: {&out->before_, &out->all_}) {
      if (*odb == nullptr)
        *odb = HUBGATE_TRY(open_at(path));
      else if (auto added = add(*odb, path); !added)
        return added.error();
    }
  if (out->all_ == nullptr) return Error{"no objects to look at"};
  return out;
}

Result<std::vector<git::Oid>> ObjectStore::incoming(std::uint64_t most) {
  Listing listing;
  listing.most = most;
  if (incoming_ == nullptr) return listing.oids;
  const int result = git_odb_foreach(incoming_.get(), list_object, &listing);
  if (result == GIT_EUSER)
    return Error{"the push has more than " + std::to_string(most) +
                 " objects (hook.max_objects): push it in parts"};
  if (result != 0) return git_failure("can't list the objects of the push");
  return std::move(listing.oids);
}

Result<ObjectStore::Header> ObjectStore::header(const git::Oid& oid) {
  const git_oid id = to_git(oid);
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  if (git_odb_read_header(&size, &type, all_.get(), &id) != 0)
    return git_failure("can't read object " + oid.brief());
  const auto kind = kind_of(type);
  if (!kind) return Error{"object " + oid.brief() + " is of no known kind"};
  return Header{*kind, size};
}

Result<LoadedObject> ObjectStore::read(const git::Oid& oid) {
  const git_oid id = to_git(oid);
  git_odb_object* object = nullptr;
  if (git_odb_read(&object, all_.get(), &id) != 0)
    return git_failure("can't read object " + oid.brief());
  LoadedObject out(object);
  if (!kind_of(git_odb_object_type(object)))
    return Error{"object " + oid.brief() + " is of no known kind"};
  return out;
}

bool ObjectStore::was_there(const git::Oid& oid) {
  const git_oid id = to_git(oid);
  return before_ != nullptr && git_odb_exists(before_.get(), &id) != 0;
}

} // namespace hubgate
