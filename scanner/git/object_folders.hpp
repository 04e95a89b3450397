#pragma once
// ObjectFolders: which file holds an object. Folders of objects with their packs and alternates
// (gitrepository-layout(5)): only names and indexes are looked at here, no object is read. What
// lies in the quarantine directory is what this push brought and is kept apart, whatever the size
// of the repository.
#include "scanner/gitstore/pack_index.hpp"
#include "scanner/worker/mapped_file.hpp"
#include "scanner/worker/spool.hpp"

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace hubgate {

/// Folders of objects, see gitrepository-layout(5).
struct ObjectPlaces {
  /// Where the objects of this push lie; empty when there is none.
  std::filesystem::path incoming;
  /// Everything that was there before; empty when nothing was.
  std::vector<std::filesystem::path> objects;
};

class ObjectFolders {
public:
  struct Pack {
    std::filesystem::path path; ///< of the pack; the index is beside it
    std::unique_ptr<MappedFile> index_file;
    git::PackIndex index;
    bool incoming = false;
  };
  struct Found {
    const Pack* pack = nullptr; ///< null: a loose object
    std::uint64_t offset = 0;
    Fd loose;
  };

  /// `id_size`: git::Oid::k_sha1 or k_sha256. An error when a folder is not there or an index can't
  /// be read.
  static Result<std::unique_ptr<ObjectFolders>> open(const ObjectPlaces& places,
                                                     std::size_t id_size);

  /// Nothing when no folder has it. Packs that came since open() are found. Thread safe.
  Result<std::optional<Found>> find(const git::Oid& oid);
  /// Whether the repository has the object without this push.
  bool was_there(const git::Oid& oid);

  // Of the push.
  std::vector<const Pack*> incoming_packs() const;
  /// Ids of loose objects, unchecked.
  Result<std::vector<git::Oid>> incoming_loose() const;
  std::size_t id_size() const { return id_size_; }

private:
  struct Folder {
    std::filesystem::path path;
    bool incoming = false;
    std::filesystem::file_time_type packs_changed{};
  };

  explicit ObjectFolders(std::size_t id_size) : id_size_(id_size) {}
  Result<void> add_folder(const std::filesystem::path& path, bool incoming, std::size_t depth);
  Result<bool> add_packs(Folder& folder);
  std::optional<Found> look_up(const git::Oid& oid, bool incoming_too) const;

  std::size_t id_size_;
  std::vector<Folder> folders_;
  std::vector<std::unique_ptr<Pack>> packs_; ///< of all folders; only ever more
  std::mutex mutex_;
};

/// The paths in the text of an info/alternates file, as they are written there.
std::vector<std::string> alternates_in(std::string_view text);

} // namespace hubgate
