// The index of a TensorFlow checkpoint: a LevelDB table of BundleEntryProto
// (tensorflow/core/lib/io/table.h, tensor_bundle.proto). See README.md.
#include "scanner/codecs/blocks.hpp"
#include "scanner/core/crc32c.hpp"
#include "scanner/core/extents.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/protobuf.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/values.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

namespace hubgate {
namespace {

constexpr std::string_view k_magic = "\x57\xfb\x80\x8b\x24\x75\x47\xdb";
constexpr std::uint64_t k_footer = 48;
constexpr std::uint64_t k_trailer = 5;                         ///< type and checksum of a block
constexpr std::uint64_t k_max_block = std::uint64_t{64} << 20; ///< tables write 4 KiB to 256 KiB
constexpr std::string_view k_atlas = "AML.T0018.002";

constexpr std::array<Rule, 3> k_rules{{
    {"tensor-bundle-bounds", "structure", Severity::suspicious, Reach::load, "CWE-125", k_atlas,
     "TFX-010", "a block or entry of the table leads out of its place"},
    {"tensor-bundle-extent", "structure", Severity::suspicious, Reach::load, "CWE-129", k_atlas,
     "TFX-010", "a tensor's shard, offset or size can't be true"},
    {"tensor-bundle-checksum", "structure", Severity::suspicious, Reach::load, "CWE-354", k_atlas,
     "TFX-010", "a block of the table does not match its checksum"},
}};
const Rule& k_bounds = k_rules[0];
const Rule& k_extent = k_rules[1];
const Rule& k_checksum = k_rules[2];

// enum DataType: bytes of an element; 0 where the size depends on the content.
constexpr std::array<std::uint8_t, 32> k_sizes{0, 4, 8,  4, 1, 2, 1, 0, 8, 8, 1, 1, 1, 4, 2, 2,
                                               2, 2, 16, 2, 0, 0, 4, 8, 1, 1, 0, 0, 0, 0, 0, 0};

struct Handle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

std::optional<std::uint64_t> varint(Reader& reader) {
  std::uint64_t value = 0;
  for (int i = 0; i < 10; ++i) {
    const auto byte = reader.le<std::uint8_t>();
    if (!byte) return std::nullopt;
    value |= std::uint64_t{*byte & 0x7fU} << (7 * i);
    if (*byte < 0x80) return value;
  }
  return std::nullopt;
}

std::optional<Handle> handle(Reader& reader) {
  const auto offset = varint(reader);
  const auto size = varint(reader);
  return offset && size ? std::optional<Handle>({*offset, *size}) : std::nullopt;
}

class Scan {
public:
  Scan(Source& source, Session& session, std::uint64_t size)
      : source_(source), session_(session), size_(size), values_(session) {}
  Reading run();

private:
  bool block(const Handle& at, std::vector<std::uint8_t>& out);
  template <typename Visit> bool entries(const std::vector<std::uint8_t>& block, Visit visit);
  void value(const std::string& key, Bytes value);
  void header(Bytes value);
  void name_shards();
  bool refuse(std::uint64_t at, std::string_view evidence);

  Source& source_;
  Session& session_;
  std::uint64_t size_;
  ValueJudge values_;
  std::uint64_t shards_ = 0;
  std::map<std::uint64_t, Extents> tensors_; ///< by shard
  bool bundle_ = false;
  bool first_ = true;
  bool told_extent_ = false;
};

bool Scan::refuse(std::uint64_t at, std::string_view evidence) {
  session_.find(k_bounds, at, 0, evidence);
  session_.gap(Reason::malformed, Reach::load, at, "the table can't be read to its end");
  return false;
}

bool Scan::block(const Handle& at, std::vector<std::uint8_t>& out) {
  if (at.offset > size_ || at.size > size_ - at.offset || size_ - at.offset - at.size < k_trailer ||
      at.size > k_max_block)
    return refuse(at.offset, "a block of " + std::to_string(at.size) + " bytes at " +
                                 std::to_string(at.offset));
  out.clear();
  out.reserve(static_cast<std::size_t>(at.size + 1));
  while (out.size() < at.size + k_trailer) {
    const Bytes piece =
        source_.view(at.offset + out.size(), static_cast<std::size_t>(std::min<std::uint64_t>(
                                                 at.size + k_trailer - out.size(), 1 << 20)));
    if (piece.empty()) return refuse(at.offset, "the bytes end inside a block");
    out.insert(out.end(), piece.begin(), piece.end());
  }
  Reader trailer(Bytes(out).subspan(static_cast<std::size_t>(at.size + 1)));
  const std::uint8_t type = out[static_cast<std::size_t>(at.size)];
  if (masked_crc32c(crc32c(Bytes(out).first(static_cast<std::size_t>(at.size + 1)))) !=
      trailer.le<std::uint32_t>())
    session_.find(k_checksum, at.offset, at.size, "the block at " + std::to_string(at.offset));
  out.resize(static_cast<std::size_t>(at.size));
  if (type == 0) return true;
  if (type != 1) return refuse(at.offset, "a block of the unknown type " + std::to_string(type));
  // Snappy.
  DecodedSource plain(decode_snappy_block(source_, at.offset, at.offset + at.size),
                      session_.budget());
  out.clear();
  while (out.size() < k_max_block) {
    const Bytes piece = plain.view(out.size(), std::size_t{1} << 16);
    if (piece.empty()) break;
    out.insert(out.end(), piece.begin(), piece.end());
  }
  return plain.fault() == Fault::none ||
         refuse(at.offset, "the block at " + std::to_string(at.offset) + " can't be unpacked");
}

// shared, unshared, value length as varints; the rest of the key; the value. At the end the restart
// points and their count.
template <typename Visit> bool Scan::entries(const std::vector<std::uint8_t>& block, Visit visit) {
  if (block.size() < 4) return false;
  Reader tail(Bytes(block).last(4));
  const std::uint64_t restarts = *tail.le<std::uint32_t>();
  if (restarts > (block.size() - 4) / 4) return false;
  Reader reader(Bytes(block).first(block.size() - 4 - static_cast<std::size_t>(restarts) * 4));
  std::string key;
  for (std::uint64_t count = 0; !reader.at_end(); ++count) {
    const auto shared = varint(reader);
    const auto rest = varint(reader);
    const auto length = varint(reader);
    if (!shared || !rest || !length || *shared > key.size()) return false;
    const auto suffix = reader.take(*rest);
    const auto value = reader.take(*length);
    if (!suffix || !value) return false;
    key.resize(static_cast<std::size_t>(*shared));
    key += as_text(*suffix);
    if (!visit(key, *value)) return false;
    if (count % 4096 == 4095 && !session_.budget().time_left()) return false;
  }
  return true;
}

// BundleHeaderProto: 1 num_shards, 2 endianness, 3 version.
void Scan::header(Bytes value) {
  MemorySource source(value);
  ProtoInput input(source);
  ProtoReader reader(input, 0, value.size());
  ProtoField field;
  bool version = false;
  while (reader.next(field)) {
    if (field.is(1, ProtoWire::varint)) shards_ = field.value;
    version = version || field.is_bytes(3);
  }
  bundle_ = reader.failure() == ProtoFailure::none && version && shards_ > 0;
}

// BundleEntryProto: 1 dtype, 2 shape {2 dim {1 size}}, 3 shard_id, 4 offset, 5 size, 6 crc32c.
void Scan::value(const std::string& key, Bytes value) {
  if (first_ && key.empty()) header(value);
  first_ = false;
  values_.look(value, key.empty() ? std::string_view("header") : std::string_view(key), 0);
  if (!bundle_ || key.empty() || told_extent_) return;
  MemorySource source(value);
  ProtoInput input(source);
  ProtoReader reader(input, 0, value.size());
  ProtoField field;
  std::uint64_t type = 0;
  std::uint64_t shard = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t elements = 1;
  bool negative = false;
  bool sliced = false;
  while (reader.next(field)) {
    if (field.is(1, ProtoWire::varint)) type = field.value;
    if (field.is(3, ProtoWire::varint)) shard = field.value;
    if (field.is(4, ProtoWire::varint)) offset = field.value;
    if (field.is(5, ProtoWire::varint)) size = field.value;
    sliced = sliced || field.is_bytes(7);
    if (!field.is_bytes(2)) continue;
    ProtoReader shape = reader.inside(field);
    ProtoField dim;
    while (shape.next(dim)) {
      if (!dim.is_bytes(2)) continue;
      ProtoReader inner = shape.inside(dim);
      ProtoField length;
      std::uint64_t count = 0; // zero is not written
      while (inner.next(length))
        if (length.is(1, ProtoWire::varint)) count = length.value;
      negative = negative || count > std::uint64_t{INT64_MAX} ||
                 __builtin_mul_overflow(elements, count, &elements);
    }
  }
  std::string wrong;
  std::uint64_t bytes = 0;
  if (reader.failure() != ProtoFailure::none)
    wrong = "is no entry";
  else if (shard >= shards_)
    wrong = "lies in shard " + std::to_string(shard) + " of " + std::to_string(shards_);
  else if (offset > std::uint64_t{INT64_MAX} || size > std::uint64_t{INT64_MAX} - offset)
    wrong = "ends beyond any file";
  else if (negative)
    wrong = "has an impossible shape";
  else if (!sliced && type < k_sizes.size() && k_sizes[type] != 0 &&
           (__builtin_mul_overflow(elements, std::uint64_t{k_sizes[type]}, &bytes) ||
            bytes != size))
    wrong = "has " + std::to_string(size) + " bytes where its shape needs " + std::to_string(bytes);
  if (wrong.empty()) {
    // The parts of a tensor that was cut have entries of their own.
    if (!sliced) tensors_[shard].add(offset, size);
    return;
  }
  told_extent_ = true;
  session_.find(k_extent, 0, 0, "the tensor " + key + " " + wrong);
}

// "variables.data-00000-of-00002": how many bytes of each shard are read, and whether that is all.
void Scan::name_shards() {
  constexpr std::uint64_t k_most = 2000;
  if (!bundle_ || shards_ > k_most || told_extent_) return;
  for (auto& [shard, tensors]: tensors_) {
    std::array<char, 64> name{};
    std::snprintf(name.data(), name.size(), "{stem}.data-%05u-of-%05u",
                  static_cast<unsigned>(shard), static_cast<unsigned>(shards_));
    if (const auto whole = tensors.whole())
      session_.refer("described", shard, std::string(name.data()) + " " + std::to_string(*whole));
    session_.refer("extent", shard, std::string(name.data()) + " " + std::to_string(tensors.end()));
  }
}

Reading Scan::run() {
  const Bytes footer = source_.view(size_ - k_footer, k_footer);
  if (footer.size() < k_footer) return Reading::none;
  const std::vector<std::uint8_t> copy(footer.begin(), footer.end());
  Reader reader(copy);
  const auto meta = handle(reader);
  const auto index = handle(reader);
  if (!meta || !index) {
    refuse(size_ - k_footer, "the footer names no block");
    return Reading::broken;
  }
  std::vector<std::uint8_t> top;
  std::vector<std::uint8_t> data;
  if (!block(*meta, data) || !block(*index, top)) return Reading::broken;
  std::uint64_t last = 0;
  bool whole = true;
  const bool read = entries(top, [&](const std::string&, Bytes where) {
    Reader pointer(where);
    const auto at = handle(pointer);
    // Blocks stand in order: no block is read twice, whatever the index says.
    if (!at || at->offset < last || !block(*at, data)) return false;
    last = at->offset + at->size;
    whole = entries(data,
                    [&](const std::string& key, Bytes bytes) {
                      value(key, bytes);
                      return true;
                    }) &&
            whole;
    return whole;
  });
  if (read && whole) {
    name_shards();
    return Reading::valid;
  }
  refuse(last, "the entries of a block can't be read");
  return Reading::broken;
}

Claim probe(const Probe& probe) {
  return probe.tail.size() >= k_footer &&
                 as_text(probe.tail).substr(probe.tail.size() - 8) == k_magic
             ? Claim::yes
             : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session, source.wait_end()).run();
}

} // namespace

extern const Format format_tensor_bundle;
const Format format_tensor_bundle{"tensor_bundle", "tensor_bundle", probe, scan, k_rules};

} // namespace hubgate
