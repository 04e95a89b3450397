#include "proxy/cas/chunk_lists.hpp"

#include "policy/private_dir.hpp"
#include "scanner/core/reader.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace hubgate::proxy {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view k_magic = "hubgate chunks 1\n";
constexpr std::uint64_t k_entry = 32 + 4;

void append(std::string& out, std::uint64_t number, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i)
    out += static_cast<char>(number >> (8 * i) & 0xff);
}

void append(std::string& out, const std::array<std::uint8_t, 32>& bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::optional<std::array<std::uint8_t, 32>> take_32(Reader& in) {
  const auto bytes = in.take(32);
  if (!bytes) return std::nullopt;
  std::array<std::uint8_t, 32> out{};
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

std::shared_ptr<const KnownChunks> read_list(Bytes text, const Sha256& of, const xet::Hash& file) {
  if (text.size() < 32) return nullptr;
  const Bytes body = text.first(text.size() - 32);
  Reader sum(text.last(32));
  if (take_32(sum) != sha256(body)) return nullptr;
  Reader in(body);
  const auto magic = in.take(k_magic.size());
  if (!magic || as_text(*magic) != k_magic || take_32(in) != of || take_32(in) != file.bytes)
    return nullptr;
  const auto n = in.le<std::uint64_t>();
  if (!n || !in.can_hold(*n, k_entry)) return nullptr;
  std::vector<xet::Chunk> chunks(static_cast<std::size_t>(*n));
  for (xet::Chunk& chunk: chunks) {
    const auto hash = take_32(in);
    const auto bytes = in.le<std::uint32_t>();
    if (!hash || !bytes) return nullptr;
    chunk.hash.bytes = *hash;
    chunk.size = *bytes;
  }
  if (!in.at_end() || xet::file_id(chunks) != file) return nullptr;
  return std::make_shared<const KnownChunks>(chunks);
}

} // namespace

fs::path ChunkLists::path_of(const Sha256& sha256, const xet::Hash& file) const {
  return folder_ / (hex(sha256) + "-" + file.text());
}

std::shared_ptr<const KnownChunks> ChunkLists::load(const Sha256& sha256,
                                                    const xet::Hash& file) const {
  const fs::path path = path_of(sha256, file);
  std::ifstream in(path, std::ios::binary);
  if (!in) return nullptr;
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  auto out = read_list(as_bytes(text), sha256, file);
  std::error_code ignored;
  if (out)
    fs::last_write_time(path, fs::file_time_type::clock::now(), ignored); // it was of use
  else
    fs::remove(path, ignored);
  return out;
}

bool ChunkLists::save(const Sha256& sha256, const xet::Hash& file,
                      const KnownChunks& chunks) const {
  if (!make_private_dir(folder_, "")) return false;
  std::string text(k_magic);
  append(text, sha256);
  append(text, file.bytes);
  append(text, chunks.size(), 8);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    append(text, chunks.hash_of(i).bytes);
    append(text, chunks.bytes_of(i), 4);
  }
  append(text, hubgate::sha256(as_bytes(text)));
  make_room(text.size());
  const fs::path path = path_of(sha256, file);
  // Another thread may save the same list just now.
  fs::path part = path;
  part += "." + std::to_string(gettid()) + ".part";
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  std::error_code failed;
  if (out) fs::rename(part, path, failed);
  if (out && !failed) return true;
  fs::remove(part, failed);
  return false;
}

// Whatever was of no use for the longest time goes; so does what a gate that was killed left.
void ChunkLists::make_room(std::uint64_t bytes) const {
  struct Found {
    fs::file_time_type used;
    std::uint64_t bytes;
    fs::path path;
  };
  std::vector<Found> found;
  std::uint64_t total = bytes;
  std::error_code failed;
  for (const auto& entry: fs::directory_iterator(folder_, failed)) {
    std::error_code gone;
    const std::uint64_t size = entry.file_size(gone);
    const fs::file_time_type used = entry.last_write_time(gone);
    if (gone) continue;
    total += size;
    found.push_back({used, size, entry.path()});
  }
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.used < b.used; });
  for (const Found& old: found) {
    if (total <= bytes_most_) return;
    if (fs::remove(old.path, failed)) total -= old.bytes;
  }
}

} // namespace hubgate::proxy
