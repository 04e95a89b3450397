#include "scanner/gitstore/pack_indexer.hpp"

#include <algorithm>
#include <numeric>

namespace hubgate::git {
namespace {

constexpr std::size_t k_piece = std::size_t{128} << 10;
/// An entry has a head and a zlib stream, and no zlib stream is shorter than 8 bytes.
constexpr std::uint64_t k_entry_min = 9;

class PackIndexer {
public:
  PackIndexer(Source& pack, const PackReader::Options& options, std::uint32_t most)
      : pack_(pack), options_(options), most_(most), hasher_(options.id_size) {
    options_.base = [this](const PackEntry& entry) { return base_of(entry); };
  }

  Result<std::vector<std::uint8_t>> run() {
    reader_ = HUBGATE_TRY(PackReader::open(pack_, nullptr, options_));
    if (auto listed = list(); !listed) return listed.error();
    if (auto resolved = resolve_all(); !resolved) return resolved.error();
    return index();
  }

private:
  struct Entry {
    std::uint64_t offset = 0;
    std::uint64_t base = 0; ///< of a delta: where its base lies, 0 while unknown
    Oid id;
    bool is_delta = false;
    bool known = false; ///< the id is
  };
  template <typename Key> struct Child {
    Key base;
    std::uint32_t entry = 0;
    bool operator<(const Child& other) const {
      return base != other.base ? base < other.base : entry < other.entry;
    }
  };

  std::optional<std::uint64_t> base_of(const PackEntry& delta) const {
    const auto at =
        std::lower_bound(entries_.begin(), entries_.end(), delta.offset,
                         [](const Entry& entry, std::uint64_t o) { return entry.offset < o; });
    if (at == entries_.end() || at->offset != delta.offset || at->base == 0) return std::nullopt;
    return at->base;
  }

  // Entries lie one behind the other: where one ends is known when it was inflated.
  Result<void> list() {
    const std::uint32_t count = read_pack_head(pack_.view(0, k_pack_head)).value_or(0);
    if (count > most_) return Error{"the pack has more than " + std::to_string(most_) + " objects"};
    if (count > (reader_->end() - k_pack_head) / k_entry_min)
      return Error{"the pack is shorter than its number of objects"};
    entries_.reserve(count);
    std::vector<std::uint8_t> piece(k_piece);
    std::uint64_t at = k_pack_head;
    for (std::uint32_t i = 0; i < count; ++i) {
      const PackEntry head = HUBGATE_TRY(reader_->entry(at));
      Entry& entry = entries_.emplace_back();
      entry.offset = at;
      entry.is_delta = head.is_delta();
      if (head.type == PackEntry::Type::offset_delta) {
        entry.base = head.base;
        by_offset_.push_back({head.base, i});
      } else if (head.type == PackEntry::Type::id_delta) {
        by_id_.push_back({head.base_id, i});
      } else {
        hasher_.begin(kind_of(head.type), head.size);
      }
      inflater_.begin(pack_, head.data, reader_->end());
      std::uint64_t made = 0;
      while (inflater_.state() == Inflater::State::more) {
        const std::size_t n = inflater_.produce(piece);
        made += n;
        if (made > head.size) break;
        if (!entry.is_delta) hasher_.update(Bytes(piece).first(n));
      }
      if (inflater_.state() != Inflater::State::done || made != head.size)
        return Error{
            "the pack's entry at " + std::to_string(at) + " " +
            (made == head.size ? to_string(inflater_.state()) : "has another length than it says")};
      if (!entry.is_delta) {
        entry.id = hasher_.finish();
        entry.known = true;
      }
      at = inflater_.position();
    }
    if (at != reader_->end()) return Error{"the pack goes on behind its last object"};
    std::sort(by_offset_.begin(), by_offset_.end());
    std::sort(by_id_.begin(), by_id_.end());
    return {};
  }

  static Kind kind_of(PackEntry::Type type) {
    switch (type) {
    case PackEntry::Type::commit:
      return Kind::commit;
    case PackEntry::Type::tree:
      return Kind::tree;
    case PackEntry::Type::tag:
      return Kind::tag;
    default:
      return Kind::blob;
    }
  }

  template <typename Key>
  static auto children(const std::vector<Child<Key>>& all, const Key& base) {
    return std::equal_range(all.begin(), all.end(), Child<Key>{base, 0},
                            [](const auto& a, const auto& b) { return a.base < b.base; });
  }

  // From each object to what is made from it, so that a base is still at hand.
  Result<void> resolve_all() {
    std::size_t known = 0;
    std::vector<std::uint32_t> open;
    for (std::uint32_t root = 0; root < entries_.size(); ++root) {
      if (entries_[root].is_delta) continue;
      open.push_back(root);
      while (!open.empty()) {
        const std::uint32_t base = open.back();
        open.pop_back();
        ++known;
        if (auto resolved = resolve_from(base, open); !resolved) return resolved;
      }
    }
    if (known != entries_.size())
      return Error{"the pack has deltas to objects that it lacks (a thin pack)"};
    return {};
  }

  Result<void> resolve_from(std::uint32_t base, std::vector<std::uint32_t>& open) {
    const auto near = children(by_offset_, entries_[base].offset);
    for (auto child = near.first; child != near.second; ++child)
      if (auto resolved = resolve(child->entry, base, open); !resolved) return resolved;
    const auto named = children(by_id_, entries_[base].id);
    for (auto child = named.first; child != named.second; ++child)
      if (auto resolved = resolve(child->entry, base, open); !resolved) return resolved;
    return {};
  }

  Result<void> resolve(std::uint32_t child, std::uint32_t base, std::vector<std::uint32_t>& open) {
    Entry& entry = entries_[child];
    if (entry.known) return {}; // its base lies in the pack twice
    entry.base = entries_[base].offset;
    const PackReader::Object object = HUBGATE_TRY(reader_->read(entry.offset, options_.memory));
    if (object.bytes != nullptr) {
      entry.id = hasher_.of(object.header.kind, *object.bytes);
    } else {
      const ObjectHeader header = HUBGATE_TRY(reader_->header(entry.offset));
      hasher_.begin(header.kind, header.size);
      auto streamed = reader_->stream(entry.offset, [this](Bytes piece) {
        hasher_.update(piece);
        return true;
      });
      if (!streamed) return streamed;
      entry.id = hasher_.finish();
    }
    entry.known = true;
    open.push_back(child);
    return {};
  }

  std::vector<std::uint8_t> index() {
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& a, const Entry& b) { return a.id < b.id; });
    std::vector<std::uint8_t> out{0xff, 't', 'O', 'c', 0, 0, 0, 2};
    const auto number = [&](std::uint64_t value, unsigned bytes) {
      for (unsigned i = bytes; i-- > 0;)
        out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    };
    std::size_t upto = 0;
    for (unsigned first = 0; first < 256; ++first) {
      while (upto < entries_.size() && entries_[upto].id.bytes[0] <= first)
        ++upto;
      number(upto, 4);
    }
    for (const Entry& entry: entries_)
      out.insert(out.end(), entry.id.view().begin(), entry.id.view().end());
    out.resize(out.size() + 4 * entries_.size()); // CRCs protect against nobody
    constexpr std::uint64_t k_is_long = 0x80000000u;
    std::vector<std::uint64_t> longs;
    for (const Entry& entry: entries_) {
      if (entry.offset < k_is_long) {
        number(entry.offset, 4);
      } else {
        number(k_is_long | longs.size(), 4);
        longs.push_back(entry.offset);
      }
    }
    for (const std::uint64_t offset: longs)
      number(offset, 8);
    const Bytes checksum = pack_.view(reader_->end(), options_.id_size);
    out.insert(out.end(), checksum.begin(), checksum.end());
    out.resize(out.size() + options_.id_size);
    return out;
  }

  Source& pack_;
  PackReader::Options options_;
  std::uint32_t most_;
  ObjectHasher hasher_;
  Inflater inflater_;
  std::unique_ptr<PackReader> reader_;
  std::vector<Entry> entries_; ///< in the order of the pack, until index()
  std::vector<Child<std::uint64_t>> by_offset_;
  std::vector<Child<Oid>> by_id_;
};

} // namespace

Result<std::vector<std::uint8_t>> index_pack(Source& pack, const PackReader::Options& options,
                                             std::uint32_t most) {
  return PackIndexer(pack, options, most).run();
}

} // namespace hubgate::git
