#pragma once
// Counters of the gate, as /metrics shows them. They live on the loop, like everything that counts.
#include <cstdint>
#include <map>
#include <string>

namespace hubgate::proxy {

struct Metrics {
  std::uint64_t connections = 0; ///< open now
  std::uint64_t connections_total = 0;
  std::uint64_t connections_refused = 0; ///< over the limit
  std::uint64_t tls_failures = 0;
  std::uint64_t bad_requests = 0;
  std::map<std::string, std::uint64_t> requests; ///< by route
  std::map<int, std::uint64_t> statuses;
  std::map<std::string, std::uint64_t> decisions; ///< by action
  std::map<std::string, std::uint64_t> refused;   ///< by rule of the gate itself
  std::uint64_t scans = 0;                        ///< running now
  std::uint64_t scans_total = 0;
  std::uint64_t scans_failed = 0;
  std::uint64_t waiting = 0;         ///< requests that wait for a scan now
  std::uint64_t bytes_in = 0;        ///< of bodies, from upstream
  std::uint64_t bytes_out = 0;       ///< of bodies, to clients
  std::uint64_t spool_bytes = 0;     ///< on disk now
  std::uint64_t tunnelled_bytes = 0; ///< of tunnels that ended, both ways
  std::uint64_t cut_transfers = 0;
  std::uint64_t block_mismatches = 0;
  std::uint64_t cache_hits = 0;    ///< answers that came from the cache whole
  std::uint64_t cache_misses = 0;  ///< judged objects that were not there
  std::uint64_t cache_bytes = 0;   ///< to clients, from the disk
  std::uint64_t cache_offline = 0; ///< answers without the hub
};

} // namespace hubgate::proxy
