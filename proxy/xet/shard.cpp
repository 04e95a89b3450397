#include "proxy/xet/shard.hpp"

#include "proxy/xet/xorb.hpp"
#include "scanner/core/reader.hpp"

#include <algorithm>

namespace hubgate::xet {
namespace {

// 32 bytes: a name, a NUL, random bytes.
constexpr std::string_view k_tag("HFRepoMetaData\0\x55\x69\x67\x45\x6a\x7b\x81\x57\x83\xa5\xbd"
                                 "\xd9\x5c\xcd\xd1\x4a\xa9",
                                 32);
constexpr std::uint64_t k_version = 2;
constexpr std::uint64_t k_footer = 200;
constexpr std::uint64_t k_record = 48;
constexpr std::uint32_t k_has_ranges = std::uint32_t{1} << 31;
constexpr std::uint32_t k_has_sha256 = std::uint32_t{1} << 30;
constexpr std::uint32_t k_for_dedup = std::uint32_t{1} << 31;
constexpr std::uint64_t k_dedup_one_in = 1024; ///< chunks that may be asked for by their hash

const Error k_cut{"a shard ends inside a record"};

// A record: a hash, and four numbers whose meaning differs.
struct Record {
  Hash hash;
  std::array<std::uint32_t, 4> numbers{};

  bool is_end() const {
    return std::all_of(hash.bytes.begin(), hash.bytes.end(),
                       [](std::uint8_t byte) { return byte == 0xff; });
  }
};

std::optional<Record> take_record(Reader& in) {
  const auto raw = in.take(k_record);
  if (!raw) return std::nullopt;
  Record out;
  Reader record(*raw);
  const auto hash = *record.take(out.hash.bytes.size());
  std::copy(hash.begin(), hash.end(), out.hash.bytes.begin());
  for (auto& number: out.numbers)
    number = *record.le<std::uint32_t>();
  return out;
}

Result<ShardTerm> read_term(Reader& in) {
  const auto record = take_record(in);
  if (!record) return k_cut;
  ShardTerm out;
  out.xorb = record->hash;
  out.bytes = record->numbers[1];
  out.chunks = {record->numbers[2], record->numbers[3]};
  if (record->numbers[0] != 0) return Error{"a term of a shard has unknown flags"};
  if (out.chunks.begin >= out.chunks.end || out.chunks.end > k_chunks_most)
    return Error{"a term of a shard names no chunks"};
  if (out.bytes > std::uint64_t{out.chunks.end - out.chunks.begin} * k_chunk_most)
    return Error{"a term of a shard is longer than its chunks can be"};
  return out;
}

Result<ShardFile> read_file(const Record& head, Reader& in) {
  const std::uint32_t flags = head.numbers[0];
  const std::uint32_t count = head.numbers[1];
  ShardFile out;
  out.id = head.hash;
  if ((flags & ~(k_has_ranges | k_has_sha256)) != 0)
    return Error{"a file of a shard has unknown flags"};
  if (!in.can_hold(count, (flags & k_has_ranges) != 0 ? 2 * k_record : k_record)) return k_cut;
  out.terms.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i)
    out.terms.push_back(HUBGATE_TRY(read_term(in)));
  if ((flags & k_has_ranges) != 0)
    for (auto& term: out.terms) {
      const auto record = take_record(in);
      if (!record) return k_cut;
      term.range_hash = record->hash;
    }
  if ((flags & k_has_sha256) != 0) {
    const auto record = take_record(in);
    if (!record) return k_cut;
    out.sha256 = sha256_of(record->hash);
  }
  return out;
}

Result<ShardXorb> read_xorb_entry(const Record& head, Reader& in) {
  const std::uint32_t count = head.numbers[1];
  ShardXorb out;
  out.hash = head.hash;
  if (head.numbers[0] != 0) return Error{"a xorb of a shard has unknown flags"};
  if (count > k_chunks_most) return Error{"a xorb of a shard has more than 8192 chunks"};
  if (!in.can_hold(count, k_record)) return k_cut;
  std::uint64_t at = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto record = take_record(in);
    if (!record) return k_cut;
    const auto [start, size, flags, zero] = record->numbers;
    if (start != at || size == 0 || size > k_chunk_most)
      return Error{"the chunks of a shard's xorb do not follow each other"};
    if ((flags & ~k_for_dedup) != 0 || zero != 0)
      return Error{"a chunk of a shard has unknown flags"};
    out.chunks.push_back({record->hash, size});
    at += size;
  }
  // The fourth number, bytes on disk, is 0 from today's clients.
  if (head.numbers[2] != at) return Error{"a xorb of a shard is not as long as its chunks"};
  return out;
}

} // namespace

Result<Shard> read_shard(Bytes body) {
  if (body.size() > k_shard_most) return Error{"a shard of more than 64 MiB"};
  Reader in(body);
  const auto tag = in.take(k_tag.size());
  if (!tag || as_text(*tag) != k_tag) return Error{"not a shard"};
  const auto version = in.le<std::uint64_t>();
  const auto footer = in.le<std::uint64_t>();
  if (!footer) return k_cut;
  if (version != k_version) return Error{"a shard of version " + std::to_string(*version)};
  if (*footer != 0 && *footer != k_footer) return Error{"a shard with an unknown footer"};

  Shard out;
  while (true) {
    const auto head = take_record(in);
    if (!head) return k_cut;
    if (head->is_end()) break;
    out.files.push_back(HUBGATE_TRY(read_file(*head, in)));
  }
  while (true) {
    const auto head = take_record(in);
    if (!head) return k_cut;
    if (head->is_end()) break;
    out.xorbs.push_back(HUBGATE_TRY(read_xorb_entry(*head, in)));
  }
  // hf_xet 1.2 announces a footer and sends none.
  if (in.remaining() != 0 && in.remaining() != *footer)
    return Error{"bytes behind a shard's last section"};
  return out;
}

namespace {

void put(std::string& out, const Hash& hash, const std::array<std::uint32_t, 4>& numbers) {
  out.append(hash.bytes.begin(), hash.bytes.end());
  for (const std::uint32_t number: numbers)
    for (unsigned shift = 0; shift < 32; shift += 8)
      out += static_cast<char>(number >> shift & 0xff);
}

void put_end(std::string& out) {
  Hash end;
  end.bytes.fill(0xff);
  put(out, end, {});
}

std::uint32_t narrow(std::uint64_t number) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(number, ~std::uint32_t{0}));
}

} // namespace

std::string write_shard(const Shard& shard) {
  std::string out(k_tag);
  for (unsigned shift = 0; shift < 64; shift += 8)
    out += static_cast<char>(k_version >> shift & 0xff);
  out.append(sizeof(std::uint64_t), '\0');
  for (const ShardFile& file: shard.files) {
    put(out, file.id, {k_has_ranges | k_has_sha256, narrow(file.terms.size()), 0, 0});
    for (const ShardTerm& term: file.terms)
      put(out, term.xorb, {0, term.bytes, term.chunks.begin, term.chunks.end});
    for (const ShardTerm& term: file.terms)
      put(out, term.range_hash.value_or(Hash{}), {});
    put(out, stored_sha256(file.sha256.value_or(Sha256{})), {});
  }
  put_end(out);
  for (const ShardXorb& xorb: shard.xorbs) {
    std::uint64_t size = 0;
    for (const Chunk& chunk: xorb.chunks)
      size += chunk.size;
    put(out, xorb.hash, {0, narrow(xorb.chunks.size()), narrow(size), 0});
    std::uint64_t at = 0;
    for (const Chunk& chunk: xorb.chunks) {
      const bool for_dedup = chunk.hash.last_word() % k_dedup_one_in == 0;
      put(out, chunk.hash, {narrow(at), narrow(chunk.size), for_dedup ? k_for_dedup : 0, 0});
      at += chunk.size;
    }
  }
  put_end(out);
  return out;
}

} // namespace hubgate::xet
