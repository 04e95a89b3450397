#include "proxy/cas/pulls.hpp"

#include "proxy/cas/write.hpp"

namespace hubgate::proxy {

namespace {
constexpr auto k_idle = std::chrono::seconds(60);
/// What is kept for readers, as a share of the spool.
constexpr std::uint64_t k_share = 4;
} // namespace

void Pulls::keep(const std::string& key, std::shared_ptr<PartFile> parts, std::uint64_t size) {
  Copy& copy = copies_[key];
  copy.parts = std::move(parts);
  copy.size = size;
  copy.used = Clock::now();
}

std::shared_ptr<PartFile> Pulls::copy(const std::string& key) {
  const auto at = copies_.find(key);
  if (at == copies_.end()) return nullptr;
  at->second.used = Clock::now();
  return at->second.parts;
}

void Pulls::expect_reader(const std::string& key) {
  if (const auto at = copies_.find(key); at != copies_.end()) ++at->second.readers;
}

void Pulls::was_read(const std::string& key, std::uint64_t bytes) {
  const auto at = copies_.find(key);
  if (at == copies_.end()) return;
  at->second.used = Clock::now();
  at->second.read += bytes;
  const Copy& copy = at->second;
  if (copy.readers > 0 && copy.read >= copy.readers * copy.size) copies_.erase(at);
}

bool Pulls::tidy(const std::string& key) {
  const auto at = copies_.find(key);
  if (at == copies_.end()) return false;
  if (Clock::now() - at->second.used < k_idle) return true;
  copies_.erase(at);
  return false;
}

std::uint64_t Pulls::kept_bytes() const {
  std::uint64_t out = 0;
  for (const auto& [key, copy]: copies_)
    out += copy.size;
  return out;
}

Pulls& pulls_of(Gate& gate) {
  Shelf& shelf = shelf_of(gate);
  if (!shelf.pulls) {
    const std::filesystem::path spool = gate.spool_directory; // of the folder with all data
    shelf.pulls = std::make_shared<Pulls>(spool.parent_path() / "xet");
  }
  return *shelf.pulls;
}

Task<std::shared_ptr<const KnownChunks>> known_chunks(Gate& gate, const CasTicket& ticket,
                                                      const ObjectDigest& digest) {
  Pulls& pulls = pulls_of(gate);
  const std::string key = pull_key(ticket);
  if (const auto* known = pulls.chunks.find(key)) co_return *known;
  const auto file = xet::Hash::from_text(ticket.file);
  if (!file) co_return nullptr;
  const ChunkLists& lists = pulls.lists;
  std::shared_ptr<const KnownChunks> chunks =
      co_await gate.loop.offload([&] { return lists.load(digest.sha256, *file); });
  if (!chunks || chunks->begin_of(chunks->size()) != digest.size) co_return nullptr;
  pulls.chunks.put(key, chunks, chunks->weight());
  co_return chunks;
}

Task<void> remember_chunks(Gate& gate, const CasTicket& ticket, Sha256 sha256,
                           std::shared_ptr<const KnownChunks> chunks) {
  Pulls& pulls = pulls_of(gate);
  pulls.chunks.put(pull_key(ticket), chunks, chunks->weight());
  const auto file = xet::Hash::from_text(ticket.file);
  if (!file) co_return;
  const ChunkLists& lists = pulls.lists;
  co_await gate.loop.offload([&] { return lists.save(sha256, *file, *chunks); });
}

std::string pull_key(const CasTicket& ticket) {
  return ticket.file + "\n" + ticket.oid;
}

bool worth_keeping(Gate& gate, std::uint64_t bytes) {
  const std::uint64_t most = gate.config.limits.spool / k_share;
  return gate.cache == nullptr && bytes <= most && pulls_of(gate).kept_bytes() <= most - bytes;
}

} // namespace hubgate::proxy
