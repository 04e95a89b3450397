#pragma once
// Tickets: what the gate hands out in place of a token for the CAS. They carry the CAS's own token,
// encrypted and authenticated, so that nothing is kept for them and they are of use at this gate
// only.
#include "scanner/core/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace hubgate::proxy {

struct CasTicket {
  /// What it may be used for: "cas", a token for the CAS; "file", in the address of a token, the
  /// file that is wanted. One is not taken for the other.
  std::string use = "cas";
  bool write = false;       ///< may upload too
  std::string cas;          ///< the CAS's URL, without a slash at its end
  std::string token;        ///< that it wants to see
  std::string user;         ///< Visit::quota_user() of who was given it
  std::string name;         ///< Visit::user
  std::string repo;         ///< canonical, for policies
  std::int64_t expires = 0; ///< seconds since 1970
  // Of a pull: the one file that it is for.
  std::string revision;
  std::string path;
  std::string file;       ///< its id in Xet
  std::string oid;        ///< its sha256 as the hub names it, in hex
  std::uint64_t size = 0; ///< bytes
};

/// `key` is secret.
std::string seal_ticket(const CasTicket& ticket, std::string_view key);

/// The reverse. An error for one that this gate did not make, that is for another use, or that has
/// expired (`now`).
Result<CasTicket> open_ticket(std::string_view text, std::string_view key, std::int64_t now,
                              std::string_view use = "cas");

/// What nobody else can guess of a ticket: names the addresses that are made with it.
std::string session_name(const CasTicket& ticket, std::string_view key);

} // namespace hubgate::proxy
