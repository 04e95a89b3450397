// ORC (ORC v1 specification): stripes of streams, and a tail that says where they are. See
// README.md.
#include "scanner/codecs/blocks.hpp"
#include "scanner/codecs/codecs.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/protobuf.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/generic.hpp"
#include "scanner/generic/values.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace hubgate {
namespace {

constexpr std::string_view k_magic = "ORC";
constexpr std::uint64_t k_far = ~std::uint64_t{0} >> 2;
constexpr std::size_t k_stripes = 1'000'000;

constexpr std::array<Rule, 3> k_rules{{
    {"orc-structure", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "DAT-007", "an offset or length in the tail of the file can't be true"},
    k_rule_row_instructions,
    k_rule_row_hidden_text,
}};
const Rule& k_structure = k_rules[0];

enum class Codec : std::uint8_t { none, zlib, snappy, lzo, lz4, zstd, brotli };

// What a region of the file unpacks to: chunks behind three bytes each, which say their length and
// whether they are packed at all.
class Chunks final : public Decoder {
public:
  Chunks(Source& source, std::uint64_t begin, std::uint64_t end, Codec codec)
      : source_(source), begin_(begin), end_(end), codec_(codec), at_(begin) {}

  void restart() override {
    at_ = begin_;
    inner_.reset();
    state_ = State::more;
  }
  State state() const override { return state_; }

  std::size_t produce(std::span<std::uint8_t> out) override {
    while (state_ == State::more) {
      if (!inner_ && !open()) break;
      const std::size_t made = inner_->produce(out);
      if (inner_->state() != State::more) {
        if (inner_->state() != State::end) state_ = inner_->state();
        inner_.reset();
      }
      if (made > 0) return made;
    }
    return 0;
  }

private:
  bool open() {
    if (at_ >= end_) {
      state_ = State::end;
      return false;
    }
    if (codec_ == Codec::none) {
      inner_ = decode_stored(source_, at_, end_);
      at_ = end_;
      return true;
    }
    const Bytes head = source_.view(at_, 3);
    if (head.size() < 3 || end_ - at_ < 3) {
      state_ = State::truncated;
      return false;
    }
    const std::uint32_t word =
        head[0] | (std::uint32_t{head[1]} << 8) | (std::uint32_t{head[2]} << 16);
    const std::uint64_t data = at_ + 3;
    const std::uint64_t length = word >> 1;
    if (length > end_ - data) {
      state_ = State::truncated;
      return false;
    }
    at_ = data + length;
    if ((word & 1) != 0)
      inner_ = decode_stored(source_, data, at_);
    else if (codec_ == Codec::zlib)
      inner_ = decode_deflate(source_, data, at_);
    else if (codec_ == Codec::snappy)
      inner_ = decode_snappy_block(source_, data, at_);
    else if (codec_ == Codec::lz4)
      inner_ = decode_lz4_block(source_, data, at_);
    else if (codec_ == Codec::zstd)
      inner_ = decode_zstd(source_, data, at_);
    else if (codec_ == Codec::brotli)
      inner_ = decode_brotli(source_, data, at_);
    else
      state_ = State::unsupported;
    return inner_ != nullptr;
  }

  Source& source_;
  std::uint64_t begin_;
  std::uint64_t end_;
  Codec codec_;
  std::uint64_t at_;
  std::unique_ptr<Decoder> inner_;
  State state_ = State::more;
};

struct Stripe {
  std::uint64_t begin = 0;
  std::uint64_t index = 0;
  std::uint64_t data = 0;
  std::uint64_t footer = 0;
};

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), values_(session), size_(source.wait_end()) {}
  Reading run();

private:
  bool postscript();
  bool footer(std::uint64_t begin, std::uint64_t end);
  bool region(std::uint64_t begin, std::uint64_t end, std::string_view what);
  Reading broken(std::uint64_t at, std::string_view why);

  Source& source_;
  Session& session_;
  ValueJudge values_;
  std::uint64_t size_;
  std::uint64_t tail_ = 0; ///< where the postscript begins
  std::uint64_t footer_ = 0;
  std::uint64_t metadata_ = 0;
  Codec codec_ = Codec::none;
  std::vector<Stripe> stripes_;
};

Reading Scan::broken(std::uint64_t at, std::string_view why) {
  session_.find(k_structure, at, 0, why);
  session_.gap(Reason::malformed, Reach::data, at, why);
  return Reading::broken;
}

// PostScript: 1 footerLength, 2 compression, 5 metadataLength; its own length is the last byte.
bool Scan::postscript() {
  const Bytes last = source_.view(size_ - 1, 1);
  if (last.empty() || last[0] == 0 || last[0] >= size_ - k_magic.size()) return false;
  tail_ = size_ - 1 - last[0];
  ProtoInput input(source_);
  ProtoReader reader(input, tail_, size_ - 1);
  ProtoField field;
  std::uint64_t codec = 0;
  while (reader.next(field)) {
    if (field.is(1, ProtoWire::varint)) footer_ = field.value;
    if (field.is(2, ProtoWire::varint)) codec = field.value;
    if (field.is(5, ProtoWire::varint)) metadata_ = field.value;
  }
  const std::uint64_t room = tail_ - k_magic.size();
  if (reader.failure() != ProtoFailure::none || footer_ > room || metadata_ > room - footer_)
    return false;
  codec_ = codec <= 6 ? static_cast<Codec>(codec) : Codec::lzo;
  return true;
}

// Footer: 3 stripes {1 offset, 2 indexLength, 3 dataLength, 4 footerLength}.
bool Scan::footer(std::uint64_t begin, std::uint64_t end) {
  DecodedSource content(std::make_unique<Chunks>(source_, begin, end, codec_), session_.budget());
  const std::uint64_t size = content.wait_end();
  if (content.fault() != Fault::none) return false;
  ProtoInput input(content);
  ProtoReader reader(input, 0, size);
  ProtoField field;
  while (reader.next(field)) {
    if (!field.is_bytes(3)) continue;
    if (stripes_.size() >= k_stripes) return false;
    ProtoReader inner = reader.inside(field);
    ProtoField number;
    Stripe stripe;
    while (inner.next(number)) {
      if (number.is(1, ProtoWire::varint)) stripe.begin = number.value;
      if (number.is(2, ProtoWire::varint)) stripe.index = number.value;
      if (number.is(3, ProtoWire::varint)) stripe.data = number.value;
      if (number.is(4, ProtoWire::varint)) stripe.footer = number.value;
    }
    if (inner.failure() != ProtoFailure::none) return false;
    stripes_.push_back(stripe);
  }
  return reader.failure() == ProtoFailure::none;
}

bool Scan::region(std::uint64_t begin, std::uint64_t end, std::string_view what) {
  if (begin == end) return true;
  DecodedSource content(std::make_unique<Chunks>(source_, begin, end, codec_), session_.budget());
  constexpr std::size_t k_step = std::size_t{1} << 20;
  generic_scan(content, session_);
  for (std::uint64_t at = 0;;) {
    const Bytes piece = content.view(at, k_step);
    if (piece.empty()) break;
    values_.look_text(piece, what, begin);
    at += piece.size();
  }
  const Fault fault = content.fault();
  if (fault == Fault::none) return true;
  const bool spent = fault == Fault::budget;
  session_.gap(spent                         ? Reason::budget
               : fault == Fault::unsupported ? Reason::unsupported
                                             : Reason::malformed,
               Reach::data, begin,
               std::string(what) + (fault == Fault::unsupported
                                        ? " is packed in a way that hubgate does not read"
                                        : " can't be unpacked"));
  return !spent;
}

Reading Scan::run() {
  if (!postscript()) return broken(size_, "the postscript can't be read");
  const std::uint64_t footer_begin = tail_ - footer_;
  const std::uint64_t content_end = footer_begin - metadata_;
  if (codec_ == Codec::lzo) {
    session_.gap(Reason::unsupported, Reach::data, tail_, "compressed with LZO");
    return Reading::broken;
  }
  if (!footer(footer_begin, tail_)) return broken(footer_begin, "the footer can't be read");
  std::uint64_t at = k_magic.size();
  for (const Stripe& stripe: stripes_) {
    if (stripe.begin < at || stripe.begin > content_end || stripe.index > k_far ||
        stripe.data > k_far || stripe.footer > k_far ||
        stripe.index + stripe.data + stripe.footer > content_end - stripe.begin)
      return broken(stripe.begin, "a stripe outside of its place");
    const std::uint64_t between = stripe.begin - at;
    if (between > 0) {
      // Writers pad stripes to the blocks of their file system.
      SubSource padding(source_, at, between);
      session_.embedded("padding@" + std::to_string(at), padding);
    }
    at = stripe.begin + stripe.index + stripe.data + stripe.footer;
    if (!region(stripe.begin, at, "a stripe")) return Reading::broken;
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::data, at, "out of time");
      return Reading::broken;
    }
  }
  if (at < content_end) {
    SubSource padding(source_, at, content_end - at);
    session_.embedded("padding@" + std::to_string(at), padding);
  }
  region(content_end, footer_begin, "the metadata");
  region(footer_begin, tail_, "the footer");
  return Reading::valid;
}

// The magic stands in front, and again as the last field of the postscript.
Claim probe(const Probe& probe) {
  if (!starts_with(probe.head, k_magic) || probe.tail.size() < 8) return Claim::no;
  const std::string_view tail = as_text(probe.tail);
  const auto length = static_cast<std::size_t>(probe.tail.back());
  if (length + 1 > tail.size()) return Claim::no;
  const std::string_view postscript = tail.substr(tail.size() - 1 - length, length);
  return postscript.find(k_magic) != std::string_view::npos ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_orc;
const Format format_orc{"orc", "orc", probe, scan, k_rules};

} // namespace hubgate
