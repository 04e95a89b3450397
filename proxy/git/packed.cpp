#include "proxy/git/packed.hpp"

#include "scanner/gitstore/pack.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace hubgate::proxy {

namespace {

constexpr std::uint32_t k_objects_max = 1'000'000;
constexpr std::size_t k_tag_depth = 64;
constexpr std::uint64_t k_tree_cache = std::uint64_t{64} << 20;

} // namespace

Result<std::shared_ptr<const PackedTree>> PackedTree::parse(Bytes bytes, std::size_t id_size) {
  auto out = std::make_shared<PackedTree>();
  out->bytes = std::string(as_text(bytes));
  out->entries = HUBGATE_TRY(git::parse_tree(as_bytes(out->bytes), id_size));
  return std::shared_ptr<const PackedTree>(std::move(out));
}

const git::TreeEntry* PackedTree::find(std::string_view name) const {
  if (by_name_.empty())
    for (std::size_t i = 0; i < entries.size(); ++i)
      by_name_.emplace(entries[i].name, i);
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &entries[at->second];
}

Result<std::unique_ptr<ObjectStore>> open_pack(WorkerPool& pool,
                                               const std::filesystem::path& scratch,
                                               const std::filesystem::path& folder,
                                               std::size_t id_size, std::uint32_t& count) {
  const std::filesystem::path pack = folder / "pack" / "p.pack";
  const std::filesystem::path index = folder / "pack" / "p.idx";
  const Fd in(::open(pack.c_str(), O_RDONLY | O_CLOEXEC));
  const Fd out(::open(index.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const Fd one(::open(scratch.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  const Fd other(::open(scratch.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (!in || !out || !one || !other)
    return Error{std::string("the pack can't be looked at: ") + std::strerror(errno)};
  // What the pack itself announces is what must have been found.
  std::array<std::uint8_t, git::k_pack_head> head{};
  const ssize_t n = pread(in.get(), head.data(), head.size(), 0);
  const auto announced = git::read_pack_head(Bytes(head).first(n < 0 ? 0 : std::size_t(n)));
  if (!announced) return Error{"it doesn't begin as a pack"};
  {
    const auto reader = HUBGATE_TRY(ObjectReader::start(pool, id_size));
    if (auto given = reader->add_scratch(one.get(), other.get()); !given) return given.error();
    count = HUBGATE_TRY(reader->make_index(in.get(), out.get(), k_objects_max));
  }
  if (count != *announced) return Error{"the pack has another number of objects than it says"};
  auto objects = HUBGATE_TRY(ObjectStore::open({{folder, {}}, pool, scratch, id_size}));
  if (HUBGATE_TRY(objects->count_incoming()) != count)
    return Error{"the index of the pack is not that of all of its objects"};
  return objects;
}

Result<std::optional<git::Oid>> PackedTrees::root_of(const git::Oid& oid) {
  git::Oid at = oid;
  for (std::size_t depth = 0; depth <= k_tag_depth; ++depth) {
    const LoadedObject object = HUBGATE_TRY(objects_->read(at));
    if (object.kind() == git::Kind::tree) return std::optional(at);
    if (object.kind() == git::Kind::commit) {
      const git::Commit commit = HUBGATE_TRY(git::parse_commit(object.bytes()));
      return std::optional(commit.tree);
    }
    if (object.kind() == git::Kind::blob) break;
    const git::Tag tag = HUBGATE_TRY(git::parse_tag(object.bytes()));
    at = tag.object;
  }
  return std::optional<git::Oid>();
}

std::shared_ptr<const PackedTree> PackedTrees::tree(const git::Oid& oid) {
  if (const auto known = trees_.find(oid); known != trees_.end()) return known->second;
  std::shared_ptr<const PackedTree> out;
  const auto object = objects_->read(oid);
  if (object && object->kind() == git::Kind::tree)
    if (auto parsed = PackedTree::parse(object->bytes(), id_size_)) out = std::move(*parsed);
  if (tree_bytes_ > k_tree_cache) {
    trees_.clear();
    tree_bytes_ = 0;
  }
  if (out) tree_bytes_ += out->bytes.size() + out->entries.size() * 4 * sizeof(git::TreeEntry);
  trees_[oid] = out;
  return out;
}

std::optional<git::TreeEntry> PackedTrees::find(const git::Oid& root, std::string_view path) {
  git::TreeEntry at;
  at.mode = static_cast<std::uint32_t>(git::Mode::tree);
  at.oid = root;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (!at.is_tree()) return std::nullopt;
    const auto tree = this->tree(at.oid);
    const git::TreeEntry* entry = tree ? tree->find(path.substr(0, end)) : nullptr;
    if (entry == nullptr) return std::nullopt;
    at = *entry;
    at.name = {};
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return at;
}

} // namespace hubgate::proxy
