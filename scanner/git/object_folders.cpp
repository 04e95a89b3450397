#include "scanner/git/object_folders.hpp"

#include "scanner/core/evidence.hpp"
#include "scanner/git/ref_lines.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

namespace hubgate {
namespace fs = std::filesystem;
namespace {

/// Alternates of alternates, as many as Git follows (object-file.c).
constexpr std::size_t k_alternates_depth = 5;

Error failed(std::string_view what, const fs::path& path) {
  return Error{std::string(what) + " " + printable(path.string(), 300) + ": " +
               std::strerror(errno)};
}

Result<Fd> open_file(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return failed("can't open", path);
  return fd;
}

fs::path loose_path(const fs::path& folder, const git::Oid& oid) {
  const std::string hex = oid.hex();
  return folder / hex.substr(0, 2) / hex.substr(2);
}

} // namespace

std::vector<std::string> alternates_in(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.front() != '"') {
      out.emplace_back(line);
    } else if (auto quoted = git::parse_alternates(line); quoted && quoted->size() == 1) {
      out.push_back(std::move(quoted->front()));
    }
  }
  return out;
}

Result<std::unique_ptr<ObjectFolders>> ObjectFolders::open(const ObjectPlaces& places,
                                                           std::size_t id_size) {
  std::unique_ptr<ObjectFolders> out(new ObjectFolders(id_size));
  if (!places.incoming.empty())
    if (auto added = out->add_folder(places.incoming, true, 0); !added) return added.error();
  for (const auto& path: places.objects)
    if (auto added = out->add_folder(path, false, 0); !added) return added.error();
  if (out->folders_.empty()) return Error{"no objects to look at"};
  return out;
}

Result<void> ObjectFolders::add_folder(const fs::path& path, bool incoming, std::size_t depth) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    return Error{"the object directory " + printable(path.string(), 300) + " is not there"};
  for (const Folder& known: folders_)
    if (fs::equivalent(known.path, path, error)) return {};
  Folder& folder = folders_.emplace_back(Folder{path, incoming, {}});
  if (const auto added = add_packs(folder); !added) return added.error();
  std::ifstream file(path / "info" / "alternates", std::ios::binary);
  if (!file || depth >= k_alternates_depth) return {};
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const std::string& line: alternates_in(text)) {
    const fs::path other = fs::path(line).is_absolute() ? fs::path(line) : path / line;
    // Git goes on without one that is gone; objects that are missed then are missed there too.
    if (!fs::is_directory(other, error)) continue;
    if (auto added = add_folder(other, incoming, depth + 1); !added) return added;
  }
  return {};
}

// Whether there are new ones.
Result<bool> ObjectFolders::add_packs(Folder& folder) {
  std::error_code error;
  const fs::path path = folder.path / "pack";
  const auto changed = fs::last_write_time(path, error);
  if (error || changed == folder.packs_changed) return false;
  folder.packs_changed = changed;
  std::set<fs::path> known;
  for (const auto& pack: packs_)
    known.insert(pack->path);
  bool any = false;
  for (const auto& entry: fs::directory_iterator(path, error)) {
    if (entry.path().extension() != ".idx") continue;
    fs::path pack_path = entry.path();
    pack_path.replace_extension(".pack");
    if (known.contains(pack_path) || !fs::exists(pack_path, error)) continue;
    struct stat info{};
    const auto file = open_file(entry.path());
    if (!file && errno == ENOENT) continue; // repacked meanwhile
    if (!file) return file.error();
    auto out = std::make_unique<Pack>();
    if (fstat(file->get(), &info) == 0 && S_ISREG(info.st_mode))
      out->index_file = MappedFile::map(file->get(), static_cast<std::uint64_t>(info.st_size));
    if (out->index_file == nullptr) return failed("can't read", entry.path());
    auto index = git::PackIndex::open(out->index_file->all(), id_size_);
    if (!index) return Error{printable(entry.path().string(), 300) + ": " + index.error().message};
    out->path = std::move(pack_path);
    out->index = *index;
    out->incoming = folder.incoming;
    packs_.push_back(std::move(out));
    any = true;
  }
  return any;
}

std::optional<ObjectFolders::Found> ObjectFolders::look_up(const git::Oid& oid,
                                                           bool incoming_too) const {
  for (const auto& pack: packs_) {
    if (pack->incoming && !incoming_too) continue;
    const auto at = pack->index.find(oid);
    const auto offset = at ? pack->index.offset(*at) : std::nullopt;
    if (offset) return Found{pack.get(), *offset, {}};
  }
  for (const Folder& folder: folders_) {
    if (folder.incoming && !incoming_too) continue;
    Fd file(
        ::open(loose_path(folder.path, oid).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (file) return Found{nullptr, 0, std::move(file)};
  }
  return std::nullopt;
}

Result<std::optional<ObjectFolders::Found>> ObjectFolders::find(const git::Oid& oid) {
  const std::lock_guard lock(mutex_);
  auto found = look_up(oid, true);
  if (found) return found;
  // Somebody may have repacked the repository; what the push brought does not move.
  bool any = false;
  for (Folder& folder: folders_)
    if (!folder.incoming) any = HUBGATE_TRY(add_packs(folder)) || any;
  if (any) found = look_up(oid, true);
  return found;
}

bool ObjectFolders::was_there(const git::Oid& oid) {
  const std::lock_guard lock(mutex_);
  return look_up(oid, false).has_value();
}

std::vector<const ObjectFolders::Pack*> ObjectFolders::incoming_packs() const {
  std::vector<const Pack*> out;
  for (const auto& pack: packs_)
    if (pack->incoming) out.push_back(pack.get());
  return out;
}

Result<std::vector<git::Oid>> ObjectFolders::incoming_loose() const {
  std::vector<git::Oid> out;
  std::error_code error;
  for (const Folder& folder: folders_) {
    if (!folder.incoming) continue;
    for (const auto& part: fs::directory_iterator(folder.path, error)) {
      const std::string first = part.path().filename().string();
      if (first.size() != 2) continue;
      std::error_code ignored; // a file of two letters is no folder of objects
      for (const auto& file: fs::directory_iterator(part.path(), ignored))
        if (const auto oid = git::Oid::from_hex(first + file.path().filename().string());
            oid && oid->size == id_size_)
          out.push_back(*oid);
    }
    if (error)
      return Error{"can't list " + printable(folder.path.string(), 300) + ": " + error.message()};
  }
  return out;
}

} // namespace hubgate
