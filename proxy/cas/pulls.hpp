#pragma once
// Pulls: what the gate remembers of files that it has fetched over Xet: their chunks, how they are
// offered just now, and for a short while the bytes of a first pull, so that who waited for the
// scan does not make the CAS send everything twice.
#include "proxy/cas/chunk_lists.hpp"
#include "proxy/cas/mirror.hpp"
#include "proxy/cas/part_file.hpp"
#include "proxy/cas/ticket.hpp"

namespace hubgate::proxy {

class Pulls {
public:
  explicit Pulls(std::filesystem::path folder) : lists(std::move(folder)) {}

  /// By pull_key(); a few of those in `lists`.
  Recent<std::shared_ptr<const KnownChunks>> chunks{std::size_t{64} << 20};
  const ChunkLists lists;
  /// By session and range, as in addresses.
  Recent<std::shared_ptr<const Mirror>> mirrors{std::size_t{32} << 20};

  /// Keeps the bytes of a whole file until everybody who was told so has read them.
  void keep(const std::string& key, std::shared_ptr<PartFile> parts, std::uint64_t size);
  /// Null when they are not here (any more).
  std::shared_ptr<PartFile> copy(const std::string& key);
  /// Somebody may read it now.
  void expect_reader(const std::string& key);
  /// So much of it was read.
  void was_read(const std::string& key, std::uint64_t bytes);
  /// Ends what nobody has read for a while. False: nothing is left of it.
  bool tidy(const std::string& key);
  void drop(const std::string& key) { copies_.erase(key); }
  std::uint64_t kept_bytes() const;

private:
  struct Copy {
    std::shared_ptr<PartFile> parts;
    std::uint64_t size = 0; ///< bytes of the file
    std::uint64_t readers = 0;
    std::uint64_t read = 0; ///< bytes, by all of them
    TimePoint used = Clock::now();
  };
  std::map<std::string, Copy> copies_;
};

Pulls& pulls_of(Gate& gate);

/// The chunks of a file with this digest, if they are known.
Task<std::shared_ptr<const KnownChunks>> known_chunks(Gate& gate, const CasTicket& ticket,
                                                      const ObjectDigest& digest);
/// From now on they are.
Task<void> remember_chunks(Gate& gate, const CasTicket& ticket, Sha256 sha256,
                           std::shared_ptr<const KnownChunks> chunks);

/// Which bytes, cut how: the file's id and its sha256.
std::string pull_key(const CasTicket& ticket);

/// Whether `bytes` of a file that is fetched now are kept for those who wait for it: not when they
/// go into the cache, and altogether a share of the spool.
bool worth_keeping(Gate& gate, std::uint64_t bytes);

} // namespace hubgate::proxy
