#pragma once
// Mirror: how a file whose chunks are known is offered over Xet: in the parts in which the hub's
// CAS has it, each a xorb of the gate's own in which every chunk is stored as it is. So one request
// of a client is one request to the CAS, and its chunks are checked one by one on their way.
#include "proxy/cas/known_chunks.hpp"
#include "proxy/cas/parts.hpp"
#include "proxy/relay/range.hpp"

#include <functional>
#include <memory>

namespace hubgate::proxy {

class PartFile;

struct Mirror {
  struct Part {
    CasPart from;
    std::size_t first = 0; ///< of the file's chunks
    std::uint32_t count = 0;
  };
  Sha256 sha256{}; ///< of the file
  std::shared_ptr<const KnownChunks> chunks;
  std::vector<Part> parts;
  /// Where the parts lie here; when there is nothing (any more), `from` says where to fetch them.
  std::weak_ptr<PartFile> copy;
  bool copied = false; ///< there was a copy: `from` has no address

  /// Parts that hold the file from byte `begin` on, at least up to `last`. Nothing: they are not
  /// made of the chunks that are known.
  static std::optional<Mirror> make(std::vector<CasPart> parts, const Sha256& sha256,
                                    std::shared_ptr<const KnownChunks> chunks, std::uint64_t begin,
                                    std::uint64_t last);

  /// Where chunk number `chunk` of a part begins in its xorb; of `count`: the xorb's end.
  std::uint64_t stored_at(const Part& part, std::uint32_t chunk) const;
  std::uint64_t stored_bytes(const Part& part) const { return stored_at(part, part.count); }

  /// What the CAS answers for the bytes `range`. `url_of`: where a part is to be had.
  xet::Reconstruction reconstruction(const ByteRange& range,
                                     const std::function<std::string(std::size_t)>& url_of) const;

  /// Bytes of memory, without the chunks.
  std::size_t weight() const;
};

} // namespace hubgate::proxy
