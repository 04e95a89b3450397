#pragma once
// PackReader: the objects of a pack (gitformat-pack(5), versions 2 and 3). An entry is a compressed
// object, or a delta to another entry of the same pack, named by distance or by id. Small objects
// come whole, large ones as a stream: neither a large object nor a large base of a delta is ever in
// memory. Hostile packs are expected: chains are bounded, sizes are checked before anything is
// allocated. Ids are not checked here: whoever gets an object hashes it.
#include "scanner/core/result.hpp"
#include "scanner/gitstore/delta.hpp"
#include "scanner/gitstore/inflate.hpp"
#include "scanner/gitstore/pack_index.hpp"

#include <functional>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

namespace hubgate::git {

struct ObjectHeader {
  Kind kind = Kind::blob;
  std::uint64_t size = 0;
};

/// The head of an entry.
struct PackEntry {
  enum class Type : std::uint8_t {
    commit = 1,
    tree = 2,
    blob = 3,
    tag = 4,
    offset_delta = 6,
    id_delta = 7,
  };
  Type type = Type::blob;
  std::uint64_t offset = 0; ///< of the entry
  std::uint64_t size = 0;   ///< of what is compressed: the object, or the delta's instructions
  std::uint64_t data = 0;   ///< offset of the compressed bytes
  std::uint64_t base = 0;   ///< offset_delta: offset of the base's entry
  Oid base_id;              ///< id_delta

  bool is_delta() const { return type == Type::offset_delta || type == Type::id_delta; }
};

/// Bytes that the head of an entry can take.
inline constexpr std::size_t k_entry_head = 10 + Oid::k_sha256;
/// Bytes before the first entry.
inline constexpr std::uint64_t k_pack_head = 12;
/// Bases behind one another. Git itself writes at most 4095 (pack-objects) and usually 50.
inline constexpr std::size_t k_delta_depth = 4095;

/// `head` begins at `offset` of the pack. Nothing when it is no entry, or is cut.
std::optional<PackEntry> read_pack_entry(Bytes head, std::uint64_t offset, std::size_t id_size);

/// How many objects the head of a pack announces; nothing when it is none.
std::optional<std::uint32_t> read_pack_head(Bytes head);

/// Room for what is too large for memory: written from the front, read anywhere.
class Scratch {
public:
  virtual ~Scratch() = default;
  virtual void clear() = 0;
  virtual bool append(Bytes bytes) = 0;
  /// Fills `out` from `offset` on, which was written.
  virtual bool read(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
};

class PackReader {
public:
  struct Options {
    std::size_t id_size = Oid::k_sha1;
    /// Largest object, base or delta that is held in memory, in bytes.
    std::uint64_t memory = std::uint64_t{16} << 20;
    /// Objects kept in memory because they may be bases of others, in bytes.
    std::uint64_t cache = std::uint64_t{32} << 20;
    /// Where the base of an id_delta lies, for a pack without index.
    std::function<std::optional<std::uint64_t>(const PackEntry&)> base;
    /// For deltas to bases that are larger than `memory`; without them such are an error.
    Scratch* scratch = nullptr;
    Scratch* other_scratch = nullptr;
  };

  /// An object. Without bytes: it, or something that it is made from, is too large for memory.
  struct Object {
    ObjectHeader header;
    std::shared_ptr<const std::vector<std::uint8_t>> bytes;
  };
  /// Takes an object in pieces, in order; false: give up.
  using Sink = std::function<bool(Bytes piece)>;

  /// `index` finds the bases that are named by id; null: they can't be found. Both must outlive the
  /// reader. An error when this is no pack, or not the one that the index is of.
  static Result<std::unique_ptr<PackReader>> open(Source& pack, const PackIndex* index,
                                                  const Options& options);

  /// The object whose entry is at `offset`. No bytes also when it is larger than `most`.
  Result<Object> read(std::uint64_t offset, std::uint64_t most);
  /// Kind and size, without making the object.
  Result<ObjectHeader> header(std::uint64_t offset);
  /// The object in pieces, however large.
  Result<void> stream(std::uint64_t offset, const Sink& sink);

  /// The head of the entry at `offset`.
  Result<PackEntry> entry(std::uint64_t offset);
  /// Where entries end: the pack's own checksum follows.
  std::uint64_t end() const { return end_; }

private:
  using Held = std::shared_ptr<const std::vector<std::uint8_t>>;
  struct Cached {
    Kind kind;
    Held bytes;
    std::list<std::uint64_t>::iterator age;
  };
  struct Base; // of a delta: in memory or in a scratch

  PackReader(Source& pack, const PackIndex* index, const Options& options)
      : pack_(pack), index_(index), options_(options) {}

  Result<std::uint64_t> base_of(const PackEntry& entry) const;
  Result<std::vector<PackEntry>> chain(std::uint64_t offset);
  Result<DeltaSizes> sizes_of(const PackEntry& delta);
  Result<Held> inflate(const PackEntry& entry);
  Result<Held> apply(Bytes base, Bytes delta);
  Result<void> stream_entry(const PackEntry& entry, const Sink& sink);
  Result<void> stream_delta(const PackEntry& entry, const Base& base, std::uint64_t& result,
                            const Sink& sink);
  Result<void> stream_chain(const std::vector<PackEntry>& chain, const Sink& sink);
  const Cached* cached(std::uint64_t offset);
  void keep(std::uint64_t offset, Kind kind, const Held& bytes);

  Source& pack_;
  const PackIndex* index_;
  Options options_;
  std::uint64_t end_ = 0;
  Inflater inflater_;
  std::unordered_map<std::uint64_t, Cached> cache_;
  std::list<std::uint64_t> ages_; ///< offsets, the one used last in front
  std::uint64_t cache_bytes_ = 0;
};

} // namespace hubgate::git
