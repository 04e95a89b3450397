#pragma once
// Git LFS: the batch answer, where git-lfs shows a refusal to people, and the objects.
#include "proxy/relay/reply.hpp"

namespace hubgate::proxy {

/// POST ….git/info/lfs/objects/batch. Uploads are refused; for downloads every object is judged
/// here, refused ones get an error of their own and the others a link of the gate.
Task<void> serve_lfs_batch(Visit& visit);

/// GET or HEAD of a link of the gate.
Task<void> serve_lfs_object(Visit& visit);

} // namespace hubgate::proxy
