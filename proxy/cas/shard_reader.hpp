#pragma once
// Reads a shard in a worker.
#include "proxy/net/loop.hpp"
#include "proxy/xet/shard_service.hpp"
#include "scanner/worker/worker.hpp"

namespace hubgate::proxy {

/// What the shard claims, or why it can't be read. `longest`: then the worker is ended.
Task<Result<xet::ShardClaims>> read_shard_in_worker(Loop& loop, WorkerPool& pool, Bytes shard,
                                                    Duration longest);

} // namespace hubgate::proxy
