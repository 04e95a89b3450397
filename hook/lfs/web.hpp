#pragma once
// Objects that come over HTTP: they are hashed while they are written into an unlinked file.
#include "hook/lfs/http.hpp"
#include "hook/lfs/source.hpp"

namespace hubgate {

HttpClient::Options http_options(const LfsSourceConfig& config, const LfsWorld& world);

/// GETs an object. `status` gets that of the answer and `body` what stands in one that is no 200;
/// then no file comes back, and the caller says what it means.
Result<Judge::Fetched> download(HttpClient& client, const HttpRequest& request,
                                const std::string& scratch, std::uint64_t most, HttpReply& reply);

} // namespace hubgate
