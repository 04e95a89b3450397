#include "scanner/gitstore/pack.hpp"

#include <algorithm>

namespace hubgate::git {
namespace {

/// Bytes of a streamed object at a time.
constexpr std::size_t k_piece = std::size_t{128} << 10;

Error broken(std::uint64_t offset, std::string_view what) {
  return Error{"the pack's entry at " + std::to_string(offset) + " " + std::string(what)};
}

std::optional<Kind> kind_of(PackEntry::Type type) {
  switch (type) {
  case PackEntry::Type::commit:
    return Kind::commit;
  case PackEntry::Type::tree:
    return Kind::tree;
  case PackEntry::Type::blob:
    return Kind::blob;
  case PackEntry::Type::tag:
    return Kind::tag;
  case PackEntry::Type::offset_delta:
  case PackEntry::Type::id_delta:
    break;
  }
  return std::nullopt;
}

} // namespace

std::optional<PackEntry> read_pack_entry(Bytes head, std::uint64_t offset, std::size_t id_size) {
  if (head.empty()) return std::nullopt;
  PackEntry out;
  out.offset = offset;
  std::size_t at = 0;
  std::uint8_t byte = head[at++];
  const unsigned type = (byte >> 4) & 7u;
  if (type == 0 || type == 5) return std::nullopt;
  out.type = static_cast<PackEntry::Type>(type);
  out.size = byte & 15;
  for (unsigned shift = 4; (byte & 0x80) != 0; shift += 7) {
    if (at == head.size() || shift > 60) return std::nullopt;
    byte = head[at++];
    const std::uint64_t part = byte & 0x7f;
    if (shift == 60 && part > 15) return std::nullopt;
    out.size |= part << shift;
  }
  if (out.type == PackEntry::Type::id_delta) {
    if (head.size() - at < id_size) return std::nullopt;
    out.base_id = Oid::from_bytes(head.subspan(at, id_size));
    at += id_size;
  } else if (out.type == PackEntry::Type::offset_delta) {
    std::uint64_t distance = 0;
    for (bool first = true;; first = false) {
      if (at == head.size() || distance >= std::uint64_t{1} << 56) return std::nullopt;
      byte = head[at++];
      distance = ((distance + (first ? 0 : 1)) << 7) | (byte & 0x7f);
      if ((byte & 0x80) == 0) break;
    }
    if (distance == 0 || distance > offset || offset - distance < k_pack_head) return std::nullopt;
    out.base = offset - distance;
  }
  out.data = offset + at;
  return out;
}

std::optional<std::uint32_t> read_pack_head(Bytes head) {
  if (head.size() < k_pack_head || !starts_with(head, std::string_view("PACK\0\0\0", 7)) ||
      (head[7] != 2 && head[7] != 3))
    return std::nullopt;
  std::uint32_t count = 0;
  for (std::size_t i = 8; i < k_pack_head; ++i)
    count = (count << 8) | head[i];
  return count;
}

struct PackReader::Base {
  Held memory;
  Scratch* scratch = nullptr;
  std::uint64_t size = 0;
};

Result<std::unique_ptr<PackReader>> PackReader::open(Source& pack, const PackIndex* index,
                                                     const Options& options) {
  const std::uint64_t size = pack.wait_end();
  const auto count = read_pack_head(pack.view(0, k_pack_head));
  if (!count || size < k_pack_head + options.id_size)
    return Error{"the pack doesn't begin as one, or is cut"};
  std::unique_ptr<PackReader> out(new PackReader(pack, index, options));
  out->end_ = size - options.id_size;
  if (index != nullptr) {
    const Bytes checksum = pack.view(out->end_, options.id_size);
    if (*count != index->count() || as_text(checksum) != as_text(index->pack_checksum()))
      return Error{"the pack is not the one that its index is of"};
  }
  return out;
}

Result<PackEntry> PackReader::entry(std::uint64_t offset) {
  if (offset < k_pack_head || offset >= end_) return broken(offset, "lies outside of the pack");
  const Bytes head = pack_.view(
      offset, static_cast<std::size_t>(std::min<std::uint64_t>(k_entry_head, end_ - offset)));
  const auto out = read_pack_entry(head, offset, options_.id_size);
  if (!out) return broken(offset, "has no valid head");
  return *out;
}

Result<std::uint64_t> PackReader::base_of(const PackEntry& entry) const {
  if (entry.type == PackEntry::Type::offset_delta) return entry.base;
  std::optional<std::uint64_t> offset;
  if (index_ != nullptr) {
    if (const auto at = index_->find(entry.base_id)) offset = index_->offset(*at);
  } else if (options_.base) {
    offset = options_.base(entry);
  }
  if (!offset) return broken(entry.offset, "is a delta to an object that the pack lacks");
  return *offset;
}

// From the object to what it is made from. A chain that leads back into itself is too long.
Result<std::vector<PackEntry>> PackReader::chain(std::uint64_t offset) {
  std::vector<PackEntry> out;
  while (true) {
    out.push_back(HUBGATE_TRY(entry(offset)));
    if (!out.back().is_delta()) return out;
    if (out.size() > k_delta_depth) return broken(offset, "is a delta of too many deltas");
    offset = HUBGATE_TRY(base_of(out.back()));
  }
}

Result<DeltaSizes> PackReader::sizes_of(const PackEntry& delta) {
  std::array<std::uint8_t, k_delta_head> head{};
  inflater_.begin(pack_, delta.data, end_);
  const std::size_t n = inflater_.produce(
      std::span(head).first(static_cast<std::size_t>(std::min<std::uint64_t>(delta.size, 20))));
  const auto sizes = read_delta_sizes(Bytes(head).first(n));
  if (!sizes) return broken(delta.offset, "is a delta without sizes");
  return *sizes;
}

Result<ObjectHeader> PackReader::header(std::uint64_t offset) {
  if (const Cached* known = cached(offset)) return ObjectHeader{known->kind, known->bytes->size()};
  const std::vector<PackEntry> entries = HUBGATE_TRY(chain(offset));
  ObjectHeader out;
  out.kind = *kind_of(entries.back().type);
  out.size = entries.front().size;
  if (entries.size() > 1) out.size = HUBGATE_TRY(sizes_of(entries.front())).result;
  return out;
}

Result<PackReader::Held> PackReader::inflate(const PackEntry& entry) {
  auto out = std::make_shared<std::vector<std::uint8_t>>(static_cast<std::size_t>(entry.size));
  const auto state = inflater_.whole(pack_, entry.data, end_, *out);
  if (state != Inflater::State::done) return broken(entry.offset, to_string(state));
  return Held(std::move(out));
}

Result<PackReader::Held> PackReader::apply(Bytes base, Bytes delta) {
  const auto sizes = read_delta_sizes(delta);
  if (!sizes || sizes->base != base.size())
    return Error{"a delta of the pack is not one to the base that it names"};
  auto out = std::make_shared<std::vector<std::uint8_t>>();
  out->reserve(static_cast<std::size_t>(sizes->result));
  DeltaReader reader(
      *sizes,
      [&](std::uint64_t offset, std::uint64_t length) {
        const Bytes part =
            base.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
        out->insert(out->end(), part.begin(), part.end());
        return true;
      },
      [&](Bytes bytes) {
        out->insert(out->end(), bytes.begin(), bytes.end());
        return true;
      });
  if (!reader.feed(delta.subspan(sizes->length)) || !reader.complete())
    return Error{"a delta of the pack has broken instructions"};
  return Held(std::move(out));
}

Result<PackReader::Object> PackReader::read(std::uint64_t offset, std::uint64_t most) {
  const std::uint64_t wanted = std::min(most, options_.memory);
  std::vector<PackEntry> deltas;
  Object out;
  Held first; // instructions of the object itself: they say how large it is
  for (std::uint64_t at = offset;;) {
    if (const Cached* known = cached(at)) {
      if (deltas.empty()) out.header.size = known->bytes->size();
      out.header.kind = known->kind;
      out.bytes = known->bytes;
      break;
    }
    const PackEntry next = HUBGATE_TRY(entry(at));
    if (next.is_delta()) {
      if (deltas.size() >= k_delta_depth) return broken(offset, "is a delta of too many deltas");
      if (deltas.empty()) {
        if (next.size > options_.memory) {
          out.header = HUBGATE_TRY(header(offset));
          return out;
        }
        first = HUBGATE_TRY(inflate(next));
        const auto sizes = read_delta_sizes(*first);
        if (!sizes) return broken(offset, "is a delta without sizes");
        out.header.size = sizes->result;
        if (sizes->result > wanted) {
          out.header = HUBGATE_TRY(header(offset));
          return out;
        }
      }
      deltas.push_back(next);
      at = HUBGATE_TRY(base_of(next));
      continue;
    }
    out.header.kind = *kind_of(next.type);
    if (deltas.empty()) out.header.size = next.size;
    if (next.size > (deltas.empty() ? wanted : options_.memory)) return out;
    out.bytes = HUBGATE_TRY(inflate(next));
    keep(at, out.header.kind, out.bytes);
    break;
  }
  if (out.header.size > wanted) out.bytes = nullptr;
  while (!deltas.empty() && out.bytes != nullptr) {
    const PackEntry& delta = deltas.back();
    if (delta.size > options_.memory) {
      out.bytes = nullptr;
      break;
    }
    const Held instructions = deltas.size() == 1 ? first : HUBGATE_TRY(inflate(delta));
    if (const auto sizes = read_delta_sizes(*instructions);
        sizes && sizes->result > options_.memory) {
      out.bytes = nullptr;
      break;
    }
    out.bytes = HUBGATE_TRY(apply(*out.bytes, *instructions));
    keep(delta.offset, out.header.kind, out.bytes);
    deltas.pop_back();
  }
  return out;
}

Result<void> PackReader::stream_entry(const PackEntry& entry, const Sink& sink) {
  std::vector<std::uint8_t> piece(k_piece);
  std::uint64_t made = 0;
  inflater_.begin(pack_, entry.data, end_);
  while (true) {
    const std::size_t n = inflater_.produce(piece);
    made += n;
    if (made > entry.size) return broken(entry.offset, "is longer than it says");
    if (n != 0 && !sink(Bytes(piece).first(n))) return Error{"nobody wants the object any more"};
    if (inflater_.state() == Inflater::State::more) continue;
    if (inflater_.state() != Inflater::State::done)
      return broken(entry.offset, to_string(inflater_.state()));
    if (made != entry.size) return broken(entry.offset, "is shorter than it says");
    return {};
  }
}

// `result`: the size of what is made, known as soon as the instructions begin.
Result<void> PackReader::stream_delta(const PackEntry& entry, const Base& base,
                                      std::uint64_t& result, const Sink& sink) {
  const DeltaSizes sizes = HUBGATE_TRY(sizes_of(entry));
  if (sizes.base != base.size)
    return broken(entry.offset, "is not a delta to the base that it names");
  result = sizes.result;
  std::vector<std::uint8_t> piece(k_piece);
  DeltaReader reader(
      sizes,
      [&](std::uint64_t offset, std::uint64_t length) {
        if (base.scratch == nullptr)
          return sink(
              Bytes(*base.memory)
                  .subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length)));
        while (length != 0) {
          const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(length, k_piece));
          if (!base.scratch->read(offset, std::span(piece).first(n)) ||
              !sink(Bytes(piece).first(n)))
            return false;
          offset += n;
          length -= n;
        }
        return true;
      },
      sink);
  std::uint64_t seen = 0;
  auto taken = stream_entry(entry, [&](Bytes bytes) {
    // The sizes come first, perhaps in several pieces.
    const auto skip = static_cast<std::size_t>(std::min<std::uint64_t>(
        bytes.size(), sizes.length - std::min<std::uint64_t>(seen, sizes.length)));
    seen += bytes.size();
    return reader.feed(bytes.subspan(skip));
  });
  if (!taken) return taken;
  if (!reader.complete()) return broken(entry.offset, "has broken instructions");
  return {};
}

Result<void> PackReader::stream_chain(const std::vector<PackEntry>& chain, const Sink& sink) {
  Base base;
  Base next;
  std::vector<std::uint8_t> memory;
  // Writes what is made into memory while it is small, else into the scratch that is free.
  const auto collect = [&](std::uint64_t size, const Base& busy) -> Result<Sink> {
    next = Base{nullptr, nullptr, size};
    memory.clear();
    if (size <= options_.memory) {
      memory.reserve(static_cast<std::size_t>(size));
      return Sink([&](Bytes bytes) {
        memory.insert(memory.end(), bytes.begin(), bytes.end());
        return true;
      });
    }
    next.scratch = busy.scratch == options_.scratch ? options_.other_scratch : options_.scratch;
    if (next.scratch == nullptr) return Error{"the base of a delta is too large for memory"};
    next.scratch->clear();
    return Sink([&](Bytes bytes) { return next.scratch->append(bytes); });
  };
  const auto collected = [&] {
    if (next.scratch == nullptr)
      next.memory = std::make_shared<const std::vector<std::uint8_t>>(std::move(memory));
    base = next;
  };

  const Sink bottom = HUBGATE_TRY(collect(chain.back().size, base));
  if (auto made = stream_entry(chain.back(), bottom); !made) return made;
  collected();
  for (std::size_t i = chain.size() - 1; i-- > 0;) {
    std::uint64_t result = 0;
    if (i == 0) return stream_delta(chain[0], base, result, sink);
    const DeltaSizes sizes = HUBGATE_TRY(sizes_of(chain[i]));
    const Sink level = HUBGATE_TRY(collect(sizes.result, base));
    if (auto made = stream_delta(chain[i], base, result, level); !made) return made;
    collected();
  }
  return {};
}

Result<void> PackReader::stream(std::uint64_t offset, const Sink& sink) {
  const std::vector<PackEntry> entries = HUBGATE_TRY(chain(offset));
  if (entries.size() == 1) return stream_entry(entries.front(), sink);
  const Object whole = HUBGATE_TRY(read(offset, options_.memory));
  if (whole.bytes == nullptr) return stream_chain(entries, sink);
  if (!sink(*whole.bytes)) return Error{"nobody wants the object any more"};
  return {};
}

const PackReader::Cached* PackReader::cached(std::uint64_t offset) {
  const auto at = cache_.find(offset);
  if (at == cache_.end()) return nullptr;
  ages_.splice(ages_.begin(), ages_, at->second.age);
  return &at->second;
}

void PackReader::keep(std::uint64_t offset, Kind kind, const Held& bytes) {
  // Each entry costs some memory of its own.
  constexpr std::uint64_t k_each = 128;
  if (bytes->size() > options_.cache / 2) return;
  const auto [at, fresh] = cache_.try_emplace(offset, Cached{kind, bytes, {}});
  if (!fresh) return;
  ages_.push_front(offset);
  at->second.age = ages_.begin();
  cache_bytes_ += bytes->size() + k_each;
  while (cache_bytes_ > options_.cache) {
    const auto oldest = cache_.find(ages_.back());
    cache_bytes_ -= oldest->second.bytes->size() + k_each;
    cache_.erase(oldest);
    ages_.pop_back();
  }
}

} // namespace hubgate::git
