// Deflate with its three wrappings. The wrappers' headers and trailers are read here and not by
// zlib, so that a wrong checksum is told from broken data, and header fields can be scanned.
#include "scanner/codecs/codecs.hpp"

#include <zlib.h>

#include <algorithm>

namespace hubgate {

std::uint32_t crc32_of(Bytes bytes, std::uint32_t crc) {
  return static_cast<std::uint32_t>(crc32_z(crc, bytes.data(), bytes.size()));
}

bool decodes(StreamDecoder& decoder, std::size_t least) {
  std::vector<std::uint8_t> out(std::size_t{64} << 10);
  const std::size_t made = decoder.produce(out);
  switch (decoder.state()) {
  case Decoder::State::end:
    return !decoder.checksum_failed();
  case Decoder::State::more:
    return true;
  case Decoder::State::truncated:
  case Decoder::State::budget:
    return made >= least;
  case Decoder::State::malformed:
  case Decoder::State::unsupported:
    return false;
  }
  return false;
}

namespace {

enum class Wrapping { none, zlib, gzip };

constexpr std::uint8_t k_fhcrc = 2;
constexpr std::uint8_t k_fextra = 4;
constexpr std::uint8_t k_fname = 8;
constexpr std::uint8_t k_fcomment = 16;

class InflateDecoder final : public StreamDecoder {
public:
  InflateDecoder(Source& source, std::uint64_t begin, std::uint64_t end, Wrapping wrapping)
      : StreamDecoder(source, begin, end), wrapping_(wrapping) {}
  ~InflateDecoder() override { inflateEnd(&stream_); }
  InflateDecoder(const InflateDecoder&) = delete;
  InflateDecoder& operator=(const InflateDecoder&) = delete;

protected:
  bool single_frame() const override { return wrapping_ != Wrapping::gzip; }

  Begin begin_frame() override {
    Begin header = Begin::frame;
    if (wrapping_ == Wrapping::zlib) header = zlib_header();
    if (wrapping_ == Wrapping::gzip) header = gzip_header();
    if (header != Begin::frame) return header;
    made_ = 0;
    checksum_ = wrapping_ == Wrapping::zlib ? 1 : 0;
    if (ready_) return inflateReset(&stream_) == Z_OK ? Begin::frame : Begin::budget;
    ready_ = inflateInit2(&stream_, -MAX_WBITS) == Z_OK;
    return ready_ ? Begin::frame : Begin::budget;
  }

  Step step(Bytes in, std::span<std::uint8_t> out) override {
    // zlib's interface is not const-correct; it does not write to its input.
    stream_.next_in = const_cast<Bytef*>(in.data());
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(out.size(), 1u << 30));
    const std::size_t room = stream_.avail_out;
    const int code = inflate(&stream_, Z_NO_FLUSH);
    Step did{.used = in.size() - stream_.avail_in, .made = room - stream_.avail_out};
    const Bytes made = out.first(did.made);
    made_ += made.size();
    if (wrapping_ == Wrapping::gzip) checksum_ = crc32_of(made, checksum_);
    if (wrapping_ == Wrapping::zlib)
      checksum_ = static_cast<std::uint32_t>(adler32_z(checksum_, made.data(), made.size()));
    if (code == Z_STREAM_END) did.progress = Progress::frame_end;
    if (code == Z_DATA_ERROR || code == Z_NEED_DICT || code == Z_STREAM_ERROR)
      did.progress = Progress::malformed;
    if (code == Z_MEM_ERROR) did.progress = Progress::budget;
    return did;
  }

  Progress end_frame() override {
    const std::size_t size = wrapping_ == Wrapping::none ? 0 : wrapping_ == Wrapping::zlib ? 4 : 8;
    if (size == 0) return Progress::frame_end;
    const Bytes trailer = input().peek(size);
    if (trailer.size() < size) return Progress::truncated;
    const auto word = [&](std::size_t at, bool big) {
      std::uint32_t value = 0;
      for (std::size_t i = 0; i < 4; ++i)
        value = (value << 8) | trailer[at + (big ? i : 3 - i)];
      return value;
    };
    if (word(0, wrapping_ == Wrapping::zlib) != checksum_) note_checksum_failed();
    if (wrapping_ == Wrapping::gzip && word(4, false) != static_cast<std::uint32_t>(made_))
      note_checksum_failed();
    input().consume(size);
    return Progress::frame_end;
  }

private:
  Begin zlib_header() {
    const Bytes head = input().peek(2);
    if (head.size() < 2) return head.empty() ? Begin::none : Begin::truncated;
    if ((head[0] & 15) != 8 || (head[0] >> 4) > 7 || (head[0] * 256u + head[1]) % 31 != 0)
      return Begin::none;
    if ((head[1] & 0x20) != 0) return Begin::unsupported; // FDICT
    input().consume(2);
    return Begin::frame;
  }

  // Zeros between members: gzip(1) and Python's gzip skip them.
  void skip_zeros() {
    while (true) {
      const Bytes piece = input().some();
      const auto zeros = static_cast<std::size_t>(
          std::find_if(piece.begin(), piece.end(), [](std::uint8_t c) { return c != 0; }) -
          piece.begin());
      input().consume(zeros);
      if (piece.empty() || zeros < piece.size()) return;
    }
  }

  // A zero-terminated field; false when the input ends in it.
  bool text_field(std::string_view name) {
    const std::uint64_t begin = input().position();
    while (true) {
      const Bytes piece = input().some();
      if (piece.empty()) return false;
      const auto end = std::find(piece.begin(), piece.end(), std::uint8_t{0});
      const auto length = static_cast<std::size_t>(end - piece.begin());
      if (end == piece.end()) {
        input().consume(length);
        continue;
      }
      input().consume(length + 1);
      note_side_data(name, begin, input().position() - 1 - begin);
      return true;
    }
  }

  // RFC 1952 2.3.1.1: subfields of two letters, a length and data. What does not keep to it counts
  // as one. Short ones are bookkeeping (bgzip's block size): nothing to hide in, and many.
  void note_extra_field(std::uint64_t begin, std::uint64_t size) {
    constexpr std::uint64_t k_worth = 16;
    const Bytes field = input().peek(static_cast<std::size_t>(size));
    std::size_t at = 0;
    while (at + 4 <= field.size()) {
      const std::size_t length = field[at + 2] | static_cast<std::size_t>(field[at + 3]) << 8;
      if (length > field.size() - at - 4) break;
      if (length >= k_worth) note_side_data("FEXTRA", begin + at + 4, length);
      at += 4 + length;
    }
    if (at < field.size() && size >= k_worth) note_side_data("FEXTRA", begin, size);
  }

  Begin gzip_header() {
    if (frames() > 0) skip_zeros();
    const Bytes head = input().peek(10);
    if (head.size() < 2 || head[0] != 0x1f || head[1] != 0x8b) return Begin::none;
    if (head.size() < 10) return Begin::truncated;
    if (head[2] != 8) return Begin::malformed;
    const std::uint8_t flags = head[3];
    input().consume(10);
    if ((flags & k_fextra) != 0) {
      const Bytes length = input().peek(2);
      if (length.size() < 2) return Begin::truncated;
      const std::uint64_t n = length[0] | std::uint64_t{length[1]} << 8;
      input().consume(2);
      note_extra_field(input().position(), n);
      input().consume(n);
    }
    if ((flags & k_fname) != 0 && !text_field("FNAME")) return Begin::truncated;
    if ((flags & k_fcomment) != 0 && !text_field("FCOMMENT")) return Begin::truncated;
    if ((flags & k_fhcrc) != 0) input().consume(2);
    return Begin::frame;
  }

  Wrapping wrapping_;
  z_stream stream_{};
  bool ready_ = false;
  std::uint64_t made_ = 0;
  std::uint32_t checksum_ = 0;
};

} // namespace

DecoderPtr decode_deflate(Source& source, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<InflateDecoder>(source, begin, end, Wrapping::none);
}

DecoderPtr decode_zlib(Source& source, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<InflateDecoder>(source, begin, end, Wrapping::zlib);
}

DecoderPtr decode_gzip(Source& source, std::uint64_t begin, std::uint64_t end) {
  return std::make_unique<InflateDecoder>(source, begin, end, Wrapping::gzip);
}

} // namespace hubgate
