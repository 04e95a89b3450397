#pragma once
// What reads shards in the sandbox, and the records in which it tells the gate what one says. The
// gate writes the shard that goes on anew from them, so that a service that was taken over can at
// most make the gate judge, and register, something else than was sent.
#include "proxy/xet/shard.hpp"

namespace hubgate::xet {

/// What a shard claims, as far as the gate needs it: it knows the chunks of new xorbs from their
/// own bytes.
struct ShardClaims {
  std::vector<ShardFile> files; ///< without range hashes
  std::vector<Hash> xorbs;      ///< that come with it
};

/// A WorkerService: reads a shard from `questions` to its end, and answers once.
void serve_shard_reading(int questions, int answers);

/// The answer, and the reverse; an error also when the shard could not be read.
std::string write_claims(const Result<Shard>& shard);
Result<ShardClaims> read_claims(Bytes answer);
inline constexpr std::size_t k_claims_most = k_shard_most + (std::size_t{1} << 20); ///< bytes

} // namespace hubgate::xet
