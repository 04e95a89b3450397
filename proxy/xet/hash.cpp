#include "proxy/xet/hash.hpp"

#include <blake3.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <vector>

namespace hubgate::xet {
namespace {

using Key = std::array<std::uint8_t, BLAKE3_KEY_LEN>;

// xet-core: merklehash/src/data_hash.rs, DATA_KEY and INTERNAL_NODE_KEY.
constexpr Key k_chunk_key = {102, 151, 245, 119, 91,  149, 80,  222, 49,  53,  203,
                             172, 165, 151, 24,  28,  157, 228, 33,  16,  155, 235,
                             43,  88,  180, 208, 176, 75,  147, 173, 242, 41};
constexpr Key k_node_key = {1,   126, 197, 199, 165, 71,  41,  150, 253, 148, 102,
                            102, 180, 138, 2,   230, 93,  221, 83,  111, 55,  199,
                            109, 210, 248, 99,  82,  230, 74,  83,  113, 63};
// xet-core: mdb_shard/src/chunk_verification.rs, VERIFICATION_KEY.
constexpr Key k_range_key = {127, 24,  87,  214, 206, 86,  237, 102, 18,  127, 249,
                             19,  231, 165, 195, 243, 164, 205, 38,  213, 181, 219,
                             73,  230, 65,  36,  152, 127, 40,  251, 148, 195};
constexpr Key k_file_key{};

class Hasher {
public:
  explicit Hasher(const Key& key) { blake3_hasher_init_keyed(&state_, key.data()); }
  Hasher& add(Bytes bytes) {
    blake3_hasher_update(&state_, bytes.data(), bytes.size());
    return *this;
  }
  Hash finish() const {
    Hash out;
    blake3_hasher_finalize(&state_, out.bytes.data(), out.bytes.size());
    return out;
  }

private:
  blake3_hasher state_;
};

constexpr std::size_t k_group_most = 9;

// How many of the nodes at the front become one: 3 to 9, fewer only at the end of the list.
std::size_t group_length(std::span<const Chunk> nodes) {
  if (nodes.size() <= 2) return nodes.size();
  const std::size_t end = std::min(k_group_most, nodes.size());
  for (std::size_t k = 2; k < end; ++k)
    if (nodes[k].hash.last_word() % 4 == 0) return k + 1;
  return end;
}

Chunk join(std::span<const Chunk> nodes) {
  Hasher hasher(k_node_key);
  Chunk out;
  for (const auto& node: nodes) {
    hasher.add(as_bytes(node.hash.text() + " : " + std::to_string(node.size) + "\n"));
    out.size += node.size;
  }
  out.hash = hasher.finish();
  return out;
}

Hash aggregate(std::span<const Chunk> chunks) {
  if (chunks.empty()) return {};
  std::vector<Chunk> level(chunks.begin(), chunks.end());
  while (level.size() > 1) {
    std::vector<Chunk> above;
    for (std::span<const Chunk> rest = level; !rest.empty();) {
      const std::size_t n = group_length(rest);
      above.push_back(join(rest.first(n)));
      rest = rest.subspan(n);
    }
    level = std::move(above);
  }
  return level.front().hash;
}

// Swaps the bytes of each word: from memory to text order and back.
std::array<std::uint8_t, 32> reversed_words(std::array<std::uint8_t, 32> bytes) {
  for (std::size_t word = 0; word < 4; ++word) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(word * 8);
    std::reverse(begin, begin + 8);
  }
  return bytes;
}

} // namespace

std::uint64_t Hash::last_word() const {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 8; ++i)
    out |= std::uint64_t{bytes[24 + i]} << (8 * i);
  return out;
}

std::string Hash::text() const {
  return hex(reversed_words(bytes));
}

std::optional<Hash> Hash::from_text(std::string_view text) {
  Hash out;
  if (text.size() != 2 * out.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < out.bytes.size(); ++i) {
    const char* at = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(at, at + 2, out.bytes[i], 16);
    if (error != std::errc{} || end != at + 2) return std::nullopt;
  }
  out.bytes = reversed_words(out.bytes);
  return out;
}

Hash stored_sha256(const Sha256& digest) {
  return {reversed_words(digest)};
}

Sha256 sha256_of(const Hash& stored) {
  return reversed_words(stored.bytes);
}

Hash chunk_hash(Bytes raw) {
  return Hasher(k_chunk_key).add(raw).finish();
}

Hash range_hash(std::span<const Chunk> chunks) {
  Hasher hasher(k_range_key);
  for (const auto& chunk: chunks)
    hasher.add(chunk.hash.bytes);
  return hasher.finish();
}

Hash xorb_hash(std::span<const Chunk> chunks) {
  return aggregate(chunks);
}

Hash file_id(std::span<const Chunk> chunks) {
  if (chunks.empty()) return {};
  return Hasher(k_file_key).add(aggregate(chunks).bytes).finish();
}

} // namespace hubgate::xet
