#pragma once
// What `git index-pack` does: finds every object of a pack that has no index yet, makes the index,
// and proves that the pack is whole: entries from its head to its checksum without a gap, bases of
// deltas inside of it. For packs that come over the network.
#include "scanner/gitstore/pack.hpp"

namespace hubgate::git {

/// The bytes of an index (version 2, without CRCs) of the pack. An error when the pack is no whole
/// pack, or announces more than `most` objects. Objects too large for memory need the scratches of
/// the options. Takes some 100 bytes of memory an object.
Result<std::vector<std::uint8_t>> index_pack(Source& pack, const PackReader::Options& options,
                                             std::uint32_t most);

} // namespace hubgate::git
