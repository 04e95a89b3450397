#pragma once
// pkt-lines (gitprotocol-common(5)): the framing of Git's protocol. Four hex digits say how long a
// packet is; 0000, 0001 and 0002 are marks without content.
#include "scanner/core/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::proxy {

/// Most content of one packet.
inline constexpr std::size_t k_pkt_max = 65'516;

struct Pkt {
  enum class Kind { data, flush, delim, response_end };
  Kind kind = Kind::flush;
  Bytes content; ///< of data; valid until the next call of the reader
};

/// Takes a stream of packets apart, however it is cut. Holds at most what it was fed and one
/// packet.
class PktReader {
public:
  void feed(Bytes bytes);
  /// Nothing: it takes more bytes, or the stream is broken().
  std::optional<Pkt> next();
  bool broken() const { return broken_; }
  /// What was fed and is no packet yet: behind the packets something else may begin.
  Bytes rest() const { return Bytes(buffer_).subspan(at_); }

private:
  std::vector<std::uint8_t> buffer_;
  std::size_t at_ = 0;
  bool broken_ = false;
};

inline constexpr std::string_view k_flush_pkt = "0000";
inline constexpr std::string_view k_delim_pkt = "0001";

/// One packet of at most k_pkt_max bytes.
std::string pkt(std::string_view content);
/// The same in a band of the side-band: 1 data, 2 progress, 3 error. Longer ones become several.
std::string band_pkts(int band, std::string_view content, std::size_t most = k_pkt_max - 1);

} // namespace hubgate::proxy
