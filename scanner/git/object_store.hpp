#pragma once
// ObjectStore: the objects of a push and those of its repository. Which file holds an object is
// looked up here; files are read by processes in the sandbox (scanner/worker/object_reader.hpp),
// and what they answer is hashed here: an object is what its id says, or there is an error. No
// configuration, ref or hook of the repository is looked at.
#include "scanner/git/object_folders.hpp"
#include "scanner/git/objects.hpp"
#include "scanner/worker/object_reader.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace hubgate {

/// An object in memory. Keeps its bytes.
class LoadedObject {
public:
  LoadedObject(git::Kind kind, std::vector<std::uint8_t> bytes)
      : kind_(kind), bytes_(std::move(bytes)) {}
  git::Kind kind() const { return kind_; }
  Bytes bytes() const { return bytes_; }

private:
  git::Kind kind_;
  std::vector<std::uint8_t> bytes_;
};

class ObjectStore {
public:
  using Header = git::ObjectHeader;
  /// Where the objects are, who reads them, and a directory for unlinked files.
  struct World {
    ObjectPlaces places;
    WorkerPool& pool;
    std::filesystem::path scratch;
    std::size_t id_size = git::Oid::k_sha1;
  };

  static Result<std::unique_ptr<ObjectStore>> open(const World& world);

  /// Objects of the push, packed or loose, named by something or not; one that came twice counts
  /// twice.
  Result<std::uint64_t> count_incoming();
  /// Reads each of them, in the order in which they lie. `bytes` is null for one larger than
  /// `most`. May not be called from `take`.
  using Take = std::function<Result<void>(const git::Oid&, const Header&, const Bytes* bytes)>;
  Result<void> each_incoming(std::uint64_t most, const Take& take);

  /// Kind and size, as its file claims; an error when it is not there.
  Result<Header> header(const git::Oid& oid);
  /// The same of many at once; nothing for one that is not there or can't be read.
  Result<std::vector<std::optional<Header>>> headers(std::span<const git::Oid> oids);
  /// The object, at most k_read_most bytes.
  Result<LoadedObject> read(const git::Oid& oid);
  static constexpr std::uint64_t k_read_most = std::uint64_t{64} << 20;
  /// A blob of any size in pieces; when it returns well, they were what the id says. Thread safe.
  Result<void> stream_blob(const git::Oid& oid, const ObjectReader::Sink& take);
  /// Whether the repository has the object without this push.
  bool was_there(const git::Oid& oid) { return folders_->was_there(oid); }
  std::size_t id_size() const { return folders_->id_size(); }

private:
  /// A reading process and what it was given.
  struct Channel {
    std::unique_ptr<ObjectReader> reader;
    std::unordered_map<const ObjectFolders::Pack*, std::uint32_t> packs;
    bool has_scratch = false;
  };
  /// Borrows a process of its own for a stream.
  class Lease;

  explicit ObjectStore(const World& world) : world_(world) {}
  Result<Channel*> main_channel();
  Result<std::unique_ptr<Channel>> start_channel();
  Result<ObjectReader::ObjectPlace> place(Channel& channel, const ObjectFolders::Pack& pack,
                                          std::uint64_t offset);
  Result<void> ask(Channel& channel, ObjectFolders::Found& found, std::uint64_t most);
  Result<ObjectFolders::Found> found(const git::Oid& oid);
  Result<void> stream(const git::Oid& oid, std::uint64_t most, Header& header,
                      const ObjectReader::Sink& take);

  World world_;
  std::unique_ptr<ObjectFolders> folders_;
  std::vector<git::Oid> incoming_loose_;
  git::ObjectHasher hasher_{world_.id_size};
  std::unique_ptr<Channel> channel_;
  std::mutex mutex_; ///< of the idle channels
  std::vector<std::unique_ptr<Channel>> idle_;
};

} // namespace hubgate
