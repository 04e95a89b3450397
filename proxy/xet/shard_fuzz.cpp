// Shards through all that the gate does with them: read, told by a worker, written anew. What a
// worker tells is also taken as it stands.
#include "proxy/xet/shard_service.hpp"

#include <cstdlib>

namespace {

using namespace hubgate;
using namespace hubgate::xet;

bool same(const ShardFile& one, const ShardFile& other) {
  if (one.id != other.id || one.terms.size() != other.terms.size()) return false;
  for (std::size_t i = 0; i < one.terms.size(); ++i) {
    const ShardTerm& a = one.terms[i];
    const ShardTerm& b = other.terms[i];
    if (a.xorb != b.xorb || a.bytes != b.bytes || !(a.chunks == b.chunks)) return false;
  }
  return true;
}

bool same(const std::vector<ShardFile>& some, const std::vector<ShardFile>& others) {
  if (some.size() != others.size()) return false;
  for (std::size_t i = 0; i < some.size(); ++i)
    if (!same(some[i], others[i])) return false;
  return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes = Bytes{data, size}.subspan(1);
  (void)read_claims(bytes);
  const auto shard = read_shard(bytes);
  const std::string told = write_claims(shard);
  const auto claims = read_claims(as_bytes(told));
  if (claims.ok() != shard.ok()) std::abort();
  if (!shard) return 0;
  if (!same(claims->files, shard->files) || claims->xorbs.size() != shard->xorbs.size())
    std::abort();
  const auto again = read_shard(as_bytes(write_shard(*shard)));
  if (!again || !same(again->files, shard->files) || again->xorbs.size() != shard->xorbs.size())
    std::abort();
  for (std::size_t i = 0; i < shard->xorbs.size(); ++i)
    if (again->xorbs[i].chunks != shard->xorbs[i].chunks) std::abort();
  return 0;
}
