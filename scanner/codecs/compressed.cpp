#include "scanner/codecs/compressed.hpp"

namespace hubgate {

Reading scan_compressed(Source& source, Session& session, DecoderPtr decoder,
                        const CompressedRules& rules) {
  StreamDecoder& stream = *decoder;
  DecodedSource content(std::move(decoder), session.budget());
  session.member(k_content, content);
  // The engine reads members to their end; this is for the cases where it would not.
  content.wait_end();

  const std::uint64_t end = stream.position();
  for (const SideData& side: stream.side_data()) {
    SubSource bytes(source, side.offset, side.length);
    session.embedded(side.name, bytes);
  }
  if (stream.side_data_dropped())
    session.gap(Reason::budget, Reach::data, 0, "too many header fields or skippable frames");
  if (stream.checksum_failed() && rules.checksum != nullptr)
    session.find(*rules.checksum, end, 0, "the checksum or length at the end does not match");

  const bool whole = stream.state() == Decoder::State::end;
  const bool stopped =
      stream.state() == Decoder::State::malformed || stream.state() == Decoder::State::unsupported;
  // Behind broken data something else may begin; behind a spent budget nobody knows.
  if (whole || stopped) session.ends_at(end);
  if (whole) session.release(end);
  return whole ? Reading::valid : Reading::broken;
}

} // namespace hubgate
