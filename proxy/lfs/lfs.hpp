#pragma once
// Git LFS: the batch answer, where git-lfs shows a refusal to people, and the objects.
#include "proxy/relay/reply.hpp"

namespace hubgate::proxy {

/// POST ….git/info/lfs/objects/batch. Objects that the policy refuses get an error of their own,
/// the others links of the gate: for a download after every one was judged, for an upload unless
/// its bytes are known and refused.
Task<void> serve_lfs_batch(Visit& visit);

/// GET or HEAD of a link of the gate.
Task<void> serve_lfs_object(Visit& visit);

/// PUT of an object to a link of the gate.
Task<void> serve_lfs_upload(Visit& visit);

/// PUT of a part of an object to a link of the gate.
Task<void> serve_lfs_part(Visit& visit);

/// POST to a link of the gate when all parts were sent.
Task<void> serve_lfs_completion(Visit& visit);

/// POST to a link of the gate that asks the hub whether an object came.
Task<void> serve_lfs_verify(Visit& visit);

/// Fetches and scans an object that the hub has under `oid`, or takes what is known of it, until a
/// time. Null with a line in `error`; `busy`: it may be tried again.
Task<std::shared_ptr<const Outcome>> judge_lfs_object(Visit& visit, Sha256 oid, std::uint64_t size,
                                                      TimePoint until, std::string& error,
                                                      bool& busy);

} // namespace hubgate::proxy
