#pragma once
// Uploads over the hub's API: repositories are created, names and samples looked at before the
// bytes come, and the commit is the last lock: every file that it brings or names is judged here,
// wherever its bytes came from (law 5).
#include "proxy/hub/commit_body.hpp"
#include "proxy/relay/reply.hpp"

namespace hubgate::proxy {

/// A POST that brings and names no object: JSON both ways.
Task<void> serve_json_post(Visit& visit);

/// POST /api/…/preupload/REV: {"files": [{"path", "size", "sample"}]}, a sample of 512 bytes.
/// Refuses what the policy blocks by its name or by what its first bytes do.
Task<void> serve_preupload(Visit& visit);

/// Scans and decides on files that come with a request. False: the client has been told.
Task<bool> inline_files_pass(Visit& visit, const std::vector<InlineFile>& files);

/// POST /api/…/commit/REV.
Task<void> serve_commit(Visit& visit);

} // namespace hubgate::proxy
