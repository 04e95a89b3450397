#pragma once
// Shelf: the xorbs that people have sent and that were read, until a shard says which files they
// make, and for a while afterwards: later uploads build on them and send only what is new. Bytes
// lie in unlinked files and count as the person's spool; nobody sees another one's.
#include "proxy/relay/flight.hpp"
#include "proxy/relay/recent.hpp"
#include "proxy/xet/hash.hpp"

namespace hubgate::proxy {

/// Bytes on disk that the quota knows of.
class Charge {
public:
  Charge(Quota& quota, Metrics& metrics, std::string user);
  ~Charge() { set(0); }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;
  void set(std::uint64_t bytes);
  void add(std::uint64_t bytes) { set(bytes_ + bytes); }
  std::uint64_t bytes() const { return bytes_; }
  /// Whether all and this person's are below the limits.
  bool fits(const ServeLimits& limits) const;

private:
  Quota& quota_;
  Metrics& metrics_;
  std::string user_;
  std::uint64_t bytes_ = 0;
};

struct ShelvedXorb {
  ShelvedXorb(Quota& quota, Metrics& metrics, const std::string& user)
      : charge(quota, metrics, user) {}
  xet::Hash hash;
  std::vector<xet::Chunk> chunks;  ///< hashed here
  std::vector<std::uint64_t> ends; ///< of each in the file: they lie there decoded, end to end
  Fd file;
  /// Where in the file it lies as it came, until it was passed on: behind all that it may hold.
  static constexpr std::uint64_t k_stored_at = std::uint64_t{2} << 30;
  std::uint64_t stored_size = 0;
  bool passed_on = false; ///< the CAS behind the gate has it
  bool on_its_way = false;
  TimePoint used = Clock::now();
  Charge charge;

  std::uint64_t begin_of(std::uint32_t chunk) const { return chunk == 0 ? 0 : ends[chunk - 1]; }
};

class Pulls;

class Shelf {
public:
  explicit Shelf(const ServeLimits& limits);

  /// Null when it is not there. `owner`: who sent it, and where to.
  std::shared_ptr<ShelvedXorb> find(const std::string& owner, const xet::Hash& hash);
  void put(const std::string& owner, std::shared_ptr<ShelvedXorb> xorb);
  /// Makes room for one that is arriving: gives up what was passed on, the longest unused first.
  /// False when that is not enough.
  bool make_room(const Charge& charge);

  /// Part of the CAS's address. Clients remember by address what the CAS has, so a new one makes
  /// this owner's clients send everything again: when the gate was started, and when something that
  /// they build on is gone.
  std::string epoch(const std::string& owner) const;
  void start_again(const std::string& owner) { ++epochs_[owner]; }

  /// The sha256 of the bytes that a file id names, where this gate has put them together itself.
  Recent<Sha256> proven{100'000};

  std::shared_ptr<Pulls> pulls; ///< the other direction; made when asked for

private:
  void tidy();

  const ServeLimits& limits_;
  std::string start_;                                         ///< of this process
  std::map<std::string, std::shared_ptr<ShelvedXorb>> xorbs_; ///< by owner and hash
  std::map<std::string, std::uint64_t> epochs_;               ///< by owner
  TimePoint tidied_ = Clock::now();
};

} // namespace hubgate::proxy
