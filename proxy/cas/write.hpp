#pragma once
// Uploads over Xet. Xorbs are decoded, hashed and kept; the shard that follows says which files
// they make. Each file is put together here, hashed and scanned like any other object before its
// xorbs and the shard go on to the CAS, or the person is told why not.
#include "proxy/cas/cas.hpp"
#include "proxy/cas/shelf.hpp"

namespace hubgate::proxy {

/// POST /v1/xorbs/default/HASH.
Task<void> serve_xorb_upload(Visit& visit, const CasTicket& ticket, const std::string& hash);

/// POST /v1/shards, or /v2/shards, whose answer is a stream that can be kept alive.
Task<void> serve_shard_upload(Visit& visit, const CasTicket& ticket, bool streamed);

/// Whose xorbs may be built on: the same person's, sent to the same CAS.
std::string shelf_owner(const CasTicket& ticket);
Shelf& shelf_of(Gate& gate);

} // namespace hubgate::proxy
