#pragma once
// Links to LFS objects that the gate makes: they carry what the upstream's batch answer said, under
// an HMAC over upstream URL, its fields, user, object and expiry. Nothing is kept for them.
#include "proxy/http/head.hpp"
#include "proxy/hub/url.hpp"
#include "scanner/core/digest.hpp"

namespace hubgate::proxy {

/// What a link is for; part of what the HMAC covers, and of the path.
enum class LinkFor { download, upload, verify, part, complete };

struct LfsLink {
  LinkFor purpose = LinkFor::download;
  std::string url;  ///< the upstream's href
  Headers fields;   ///< that it wants sent along (Authorization, perhaps)
  std::string user; ///< who was given the link
  std::string hub;  ///< its name: which hub's storage is meant
  std::string repo; ///< canonical, for policies
  Sha256 oid{};
  std::uint64_t size = 0;
  std::int64_t expires = 0; ///< seconds since 1970
  std::uint32_t part = 0;   ///< number from 1 on, of an upload in parts
  std::uint64_t chunk = 0;  ///< bytes of each part but the last
  std::string upload;       ///< which upload in parts
};

/// "/_hubgate/lfs/OID?…" ("upload", "verify", "part" or "complete" instead of "lfs"); `key` is
/// secret.
std::string make_link(const LfsLink& link, std::string_view key);

/// The reverse. An error for a wrong HMAC, an expired link (`now`) or a malformed one.
Result<LfsLink> read_link(const Target& target, std::string_view key, std::int64_t now);

std::string base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);

} // namespace hubgate::proxy
